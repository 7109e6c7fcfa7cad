"""Draws the demo's pictures, films and sounds: made up, abstract, and the same at every load.

Nothing binary is kept in the repository, and nobody's picture is used. The libraries are loaded
when something is drawn, not with the module.
"""

import array
import io
import math
import random
import wave
from collections.abc import Callable
from typing import Any

_SKIES = (
    ("#f6d8b0", "#e08f62", "#5b6f73", "#2f4447"),
    ("#cfe6ee", "#8fb9c9", "#6b8f71", "#3f5d4a"),
    ("#2b2d42", "#4a4e69", "#22223b", "#11121f"),
    ("#fbe3e4", "#e8a0a8", "#8a5a73", "#4d3a50"),
)
_FRUITS = ("#d1495b", "#edae49", "#66a182", "#8d5a97", "#f4a259")


def picture(name: str, subject: str, *words: str) -> bytes:
    """A JPEG of this subject; `name` decides its luck."""
    drawn = _SUBJECTS[subject](random.Random(name), words)  # noqa: S311
    out = io.BytesIO()
    drawn.save(out, "JPEG", quality=88)
    return out.getvalue()


def film(name: str, subject: str, *words: str) -> bytes:
    """Five seconds that move, with a sound, as an MP4."""
    import av

    out = io.BytesIO()
    rate, seconds = 12, 5
    with av.open(out, "w", format="mp4") as container:
        stream: Any = container.add_stream("mpeg4", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 480, 270, "yuv420p"
        stream.bit_rate = 900_000
        sound: Any = container.add_stream("aac", rate=16_000, layout="mono")
        for number in range(rate * seconds):
            drawn = _FILMS[subject](random.Random(name), words, number / (rate * seconds))  # noqa: S311
            for packet in stream.encode(av.VideoFrame.from_image(drawn)):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
        frame = av.AudioFrame(format="s16", layout="mono", samples=16_000 * seconds)
        frame.sample_rate = 16_000
        frame.planes[0].update(_melody(name, seconds))
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=16_000, frame_size=1024)
        for ready in [*resampler.resample(frame), *resampler.resample(None)]:
            for packet in sound.encode(ready):
                container.mux(packet)
        for packet in sound.encode(None):
            container.mux(packet)
    return out.getvalue()


def sound(name: str, seconds: int = 6) -> bytes:
    """A little melody as a WAV."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(_melody(name, seconds))
    return out.getvalue()


def _melody(name: str, seconds: int) -> bytes:
    rng = random.Random(name)  # noqa: S311
    samples = array.array("h")
    for _ in range(seconds * 4):
        pitch = 220 * 2 ** (rng.choice((0, 2, 4, 7, 9, 12)) / 12)
        step = 2 * math.pi * pitch / 16_000
        samples.extend(int(6_000 * math.sin(step * at) * (1 - at / 4_000)) for at in range(4_000))
    return samples.tobytes()


def _canvas(width: int, height: int, colour: str) -> tuple[Any, Any]:
    from PIL import Image, ImageDraw

    drawn = Image.new("RGB", (width, height), colour)
    return drawn, ImageDraw.Draw(drawn)


def _write(pen: Any, at: tuple[int, int], words: str, size: int, colour: str) -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    pen.multiline_text(at, words, fill=colour, font=font, anchor="mm", align="center", spacing=12)


def _hills(rng: random.Random, words: tuple[str, ...], *, drift: float = 0.0) -> Any:
    width, height = 960, 640
    sky, glow, far, near = rng.choice(_SKIES)
    drawn, pen = _canvas(width, height, sky)
    x, y = rng.randint(200, 760), rng.randint(110, 240) + int(drift * 200)
    pen.ellipse((x - 130, y - 130, x + 130, y + 130), fill=glow)
    pen.ellipse((x - 80, y - 80, x + 80, y + 80), fill="#fff3d6")
    for colour, base, swing in ((far, 400, 60), (near, 500, 40)):
        phase, waves = rng.random() * 6, rng.uniform(1.5, 3)
        ridge = [
            (at, base + swing * math.sin(phase + at / width * 2 * math.pi * waves / 2))
            for at in range(0, width + 20, 20)
        ]
        pen.polygon([*ridge, (width, height), (0, height)], fill=colour)
    return drawn


def _harbour(rng: random.Random, words: tuple[str, ...]) -> Any:
    width, height = 900, 1200
    drawn, pen = _canvas(width, height, "#dfe9ec")
    pen.rectangle((0, 760, width, height), fill="#7fa3ad")
    for left in range(0, width, 90):
        tall = rng.randint(180, 480)
        pen.rectangle(
            (left, 760 - tall, left + 84, 760), fill=rng.choice(("#54666d", "#6d7f86", "#3f5057"))
        )
        for row in range(780 - tall, 740, 46):
            for column in (left + 14, left + 48):
                lit = rng.random() < 0.4
                pen.rectangle(
                    (column, row, column + 18, row + 24), fill="#f7d774" if lit else "#2d3a40"
                )
    for _ in range(60):
        x, y = rng.randint(0, width), rng.randint(780, height)
        pen.line((x, y, x + rng.randint(30, 120), y), fill="#a9c4cb", width=4)
    return drawn


def _bowl(rng: random.Random, words: tuple[str, ...]) -> Any:
    drawn, pen = _canvas(900, 900, "#efe6d8")
    pen.ellipse((120, 420, 780, 820), fill="#b9c4bd")
    for _ in range(9):
        x, y, size = rng.randint(250, 650), rng.randint(300, 560), rng.randint(70, 110)
        pen.ellipse((x - size, y - size, x + size, y + size), fill=rng.choice(_FRUITS))
        pen.ellipse((x - size // 2, y - size // 2, x - size // 4, y - size // 4), fill="#ffffff")
    pen.chord((120, 380, 780, 860), 0, 180, fill="#8fa096")
    return drawn


def _poster(rng: random.Random, words: tuple[str, ...]) -> Any:
    """Large words, as whoever sells something writes them."""
    back, front = rng.choice(
        (("#c1121f", "#fdf0d5"), ("#003049", "#f7b801"), ("#1b4332", "#d8f3dc"))
    )
    drawn, pen = _canvas(900, 900, back)
    for turn in range(0, 360, 20):
        pen.pieslice((-200, -200, 1100, 1100), turn, turn + 10, fill=_lighter(back))
    pen.rounded_rectangle((70, 250, 830, 650), 40, fill=back)
    _write(pen, (450, 400), words[0], 110, front)
    for number, line in enumerate(words[1:]):
        _write(pen, (450, 520 + 90 * number), line, 56, front)
    return drawn


def _form(rng: random.Random, words: tuple[str, ...]) -> Any:
    """A sign-in page that asks for too much."""
    drawn, pen = _canvas(1000, 750, "#eef1f4")
    pen.rectangle((0, 0, 1000, 90), fill="#1f4e79")
    _write(pen, (500, 45), words[0], 40, "#ffffff")
    pen.rounded_rectangle((250, 140, 750, 690), 16, fill="#ffffff")
    for number, line in enumerate(words[1:]):
        top = 190 + number * 110
        _write(pen, (500, top), line, 28, "#33414d")
        pen.rounded_rectangle((300, top + 24, 700, top + 74), 8, outline="#9fb0bd", width=3)
    pen.rounded_rectangle((300, 610, 700, 665), 8, fill="#1f4e79")
    return drawn


def _face(rng: random.Random, words: tuple[str, ...]) -> Any:
    """A face of a few shapes; nobody's."""
    back, skin, hair = (
        rng.choice(("#cdeae5", "#f3d9c9", "#dcd6f7", "#fbe7a1")),
        rng.choice(("#8d5524", "#c68642", "#e0ac69", "#f1c27d", "#5c3a21")),
        rng.choice(("#2b1d0e", "#5a3825", "#b08d57", "#1c1c1c", "#8c2f39")),
    )
    drawn, pen = _canvas(512, 512, back)
    pen.ellipse((96, 380, 416, 700), fill=rng.choice(_FRUITS))
    pen.ellipse((136, 90, 376, 330), fill=hair)
    pen.ellipse((156, 130, 356, 390), fill=skin)
    for x in (216, 296):
        pen.ellipse((x - 10, 240, x + 10, 260), fill="#222222")
    pen.arc((216, 270, 296, 340), 20, 160, fill="#222222", width=5)
    return drawn


def _pattern(rng: random.Random, words: tuple[str, ...]) -> Any:
    drawn, pen = _canvas(800, 600, "#f5f1e8")
    for row in range(0, 600, 100):
        for column in range(0, 800, 100):
            colour = rng.choice(("#264653", "#2a9d8f", "#e9c46a", "#f4a261", "#e76f51"))
            corner = rng.choice((0, 90, 180, 270))
            pen.pieslice(
                (column - 50, row - 50, column + 150, row + 150), corner, corner + 90, fill=colour
            )
    return drawn


def _shelf(rng: random.Random, words: tuple[str, ...]) -> Any:
    """Bottles on a shelf, with a word on each."""
    drawn, pen = _canvas(1000, 700, "#e7ecef")
    pen.rectangle((0, 560, 1000, 600), fill="#8d7b68")
    for number in range(5):
        left = 60 + number * 185
        colour = rng.choice(_FRUITS)
        pen.rounded_rectangle((left, 240, left + 140, 560), 24, fill=colour)
        pen.rectangle((left + 45, 190, left + 95, 240), fill="#f8f9fa")
        pen.rectangle((left, 350, left + 140, 470), fill="#ffffff")
        _write(pen, (left + 70, 410), words[0] if words else "", 30, "#222222")
    return drawn


def _lighter(colour: str) -> str:
    parts = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return "#" + "".join(f"{min(part + 26, 255):02x}" for part in parts)


def _sunset(rng: random.Random, words: tuple[str, ...], at: float) -> Any:
    return _hills(rng, words, drift=at).resize((480, 270))


def _ball(rng: random.Random, words: tuple[str, ...], at: float) -> Any:
    drawn, pen = _canvas(480, 270, "#dce9e6")
    pen.rectangle((0, 220, 480, 270), fill="#7a9e7e")
    x, y = 40 + int(400 * at), 200 - int(abs(math.sin(at * 4 * math.pi)) * 130)
    pen.ellipse((x - 24, y - 24, x + 24, y + 24), fill=rng.choice(_FRUITS))
    return drawn


def _titles(rng: random.Random, words: tuple[str, ...], at: float) -> Any:
    """One line of words after the other."""
    drawn, pen = _canvas(480, 270, rng.choice(("#14213d", "#3d0c11", "#0b3d2e")))
    line = words[min(int(at * len(words)), len(words) - 1)]
    _write(pen, (240, 135), line, 40, "#ffffff")
    pen.rectangle((0, 260, int(480 * at), 270), fill="#fca311")
    return drawn


_SUBJECTS: dict[str, Callable[[random.Random, tuple[str, ...]], Any]] = {
    "hills": _hills,
    "harbour": _harbour,
    "bowl": _bowl,
    "poster": _poster,
    "form": _form,
    "face": _face,
    "pattern": _pattern,
    "shelf": _shelf,
}
_FILMS: dict[str, Callable[[random.Random, tuple[str, ...], float], Any]] = {
    "sunset": _sunset,
    "ball": _ball,
    "titles": _titles,
}
