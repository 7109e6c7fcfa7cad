"""PURE. One hostile file → pictures, film and sound made anew. Run as a program, never imported by
a server: media_work.py starts it for each file, in a process of its own.

    python -I encoding.py FILE FOLDER LIMITS

FILE is read, renditions are written into FOLDER, and what they are is printed as JSON. Nothing of
the file's own bytes, names or metadata gets into a rendition. The process takes its own limits of
memory, time and file size before any decoder is loaded; it knows no settings, no database and no
secrets. Exit 3: {"error": code}, the file is not one we can show.
"""

import io
import json
import resource
import sys
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

# By what a file begins with. Playlists and other formats that point at more files are not here.
_IMAGES = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
_MAGIC = (
    (4, b"ftyp", "mov"),
    (0, b"\x1a\x45\xdf\xa3", "matroska"),
    (0, b"OggS", "ogg"),
    (0, b"fLaC", "flac"),
    (0, b"ID3", "mp3"),
    (0, b"\xff\xfb", "mp3"),
    (0, b"\xff\xf3", "mp3"),
    (0, b"\xff\xf2", "mp3"),
    (0, b"\xff\xf1", "aac"),
    (0, b"\xff\xf9", "aac"),
)
_IMAGE_BRANDS = (b"avif", b"avis", b"mif1", b"heic")
_STRIP_FRAMES = 8
_STRIP_HEIGHT = 90
_OPUS_FRAME = 960  # samples: 20 ms at 48 kHz


class Limits(NamedTuple):
    pixels: int  # of a picture, or of one frame
    side: int  # of the picture that is shown; films get two thirds of it
    thumb: int
    seconds: int  # of a film or a sound; what is beyond is cut off
    frames: int  # of an animated picture
    memory_bytes: int
    cpu_seconds: int
    file_bytes: int


class Unreadable(Exception):
    """`code`: why the file cannot be shown."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def confine(limits: Limits) -> None:
    """From here on this process can take no more than its share."""
    for what, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 64),
    ):
        resource.setrlimit(what, (most, most))


def encode(source: Path, folder: Path, limits: Limits) -> dict[str, Any]:
    """What there is now: {"form", "width", "height", "seconds", "is_cut", "renditions"}."""
    with source.open("rb") as file:
        head = file.read(32)
    format_name = _container_of(head)
    if format_name is not None:
        return _encode_film(source, format_name, folder, limits)
    return _encode_picture(source, folder, limits)


def _container_of(head: bytes) -> str | None:
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    for at, magic, name in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return None if name == "mov" and head[8:12] in _IMAGE_BRANDS else name
    return None


# Pictures


def _encode_picture(source: Path, folder: Path, limits: Limits) -> dict[str, Any]:
    from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

    Image.MAX_IMAGE_PIXELS = limits.pixels
    warnings.simplefilter("error", Image.DecompressionBombWarning)
    # Browsers show what has come of a picture that was cut off; so do we.
    ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        picture = Image.open(source, formats=_IMAGES)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Unreadable("too_many_pixels") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        raise Unreadable("unreadable") from None
    with picture:
        try:
            if getattr(picture, "is_animated", False):
                return _encode_animation(picture, folder, limits)
            picture.draft("RGB", (limits.side, limits.side))
            upright = _plain(ImageOps.exif_transpose(picture))
        except (OSError, ValueError, SyntaxError, EOFError, IndexError, KeyError):
            raise Unreadable("unreadable") from None
        width, height = _true_size(source, upright)
        renditions = _write_picture(upright, folder, limits)
    return _told("image", width, height, renditions)


def _true_size(source: Path, upright: Any) -> tuple[int, int]:
    """As it came in, but upright: a draft is smaller."""
    from PIL import Image

    with Image.open(source, formats=_IMAGES) as picture:
        width, height = picture.size
    if (width > height) != (upright.width > upright.height):
        width, height = height, width
    return width, height


def _plain(picture: Any) -> Any:
    """In RGB, or RGBA where something shows through, in the colours of a screen."""
    from PIL import ImageCms

    profile = picture.info.get("icc_profile")
    if profile and picture.mode in ("RGB", "CMYK", "L"):
        try:
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            screen = ImageCms.createProfile("sRGB")
            picture = ImageCms.profileToProfile(picture, own, screen, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # a broken profile says nothing
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        low, high = picture.getextrema()
        scale = 255 / ((high - low) or 1)
        picture = picture.convert("F").point(lambda value: (value - low) * scale).convert("L")
    see_through = picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info
    return picture.convert("RGBA" if see_through else "RGB")


def _write_picture(picture: Any, folder: Path, limits: Limits) -> dict[str, Any]:
    """The picture and its thumb, as new pixels in a new file."""
    from PIL import Image

    renditions = {}
    for name, side, quality in (("image", limits.side, 82), ("thumb", limits.thumb, 75)):
        smaller = Image.new(picture.mode, picture.size)
        smaller.paste(picture)
        smaller.thumbnail((side, side), Image.Resampling.LANCZOS)
        file = f"{name}.webp"
        smaller.save(folder / file, "WEBP", quality=quality, method=3)
        renditions[name] = {
            "file": file,
            "type": "image/webp",
            "width": smaller.width,
            "height": smaller.height,
        }
    return renditions


def _encode_animation(picture: Any, folder: Path, limits: Limits) -> dict[str, Any]:
    """A moving picture becomes a silent film: nothing moves here before somebody asks for it."""
    from PIL import ImageSequence

    writer, poster, seconds, count = None, None, 0.0, 0
    is_cut = False
    for frame in ImageSequence.Iterator(picture):
        if count >= limits.frames or seconds >= limits.seconds:
            is_cut = True
            break
        rgb = frame.convert("RGB")
        if writer is None:
            poster = rgb.copy()
            writer = _FilmWriter(folder, picture.width, picture.height, limits)
        writer.picture(rgb, seconds)
        seconds += min(max(frame.info.get("duration", 100), 20), 10_000) / 1000
        count += 1
    if writer is None or poster is None:
        raise Unreadable("unreadable")
    if count == 1:
        return _told("image", *picture.size, _write_picture(poster, folder, limits))
    writer.picture(rgb, seconds)  # the last frame stands for its time too
    film = writer.close()
    renditions = {**_write_picture(poster, folder, limits), **film}
    return _told("video", *picture.size, renditions, seconds=seconds, is_cut=is_cut)


# Films and sounds


class _FilmWriter:
    """VP9 and Opus in WebM: free to use, and every current browser plays it."""

    def __init__(
        self, folder: Path, width: int, height: int, limits: Limits, *, sound: bool = False
    ) -> None:
        import av

        self.width, self.height = _fit(width, height, limits.side * 2 // 3)
        self.container = av.open(str(folder / "video.webm"), "w", format="webm")
        self.stream = self.container.add_stream("libvpx-vp9", rate=30)
        self.stream.width, self.stream.height = self.width, self.height
        self.stream.pix_fmt = "yuv420p"
        self.stream.time_base = Fraction(1, 1000)
        self.stream.codec_context.time_base = Fraction(1, 1000)
        self.stream.options = {
            "deadline": "realtime",
            "cpu-used": "7",
            "crf": "34",
            "b": "1500k",
            "row-mt": "1",
            "g": "120",
        }
        self.sound = _SoundWriter(self.container) if sound else None
        self.last = -1
        self.strip: list[tuple[float, Any]] = []

    def frame(self, frame: Any, at: float) -> None:
        """`at`: seconds from the start. More than 30 a second are left out."""
        milliseconds = round(at * 1000)
        if self.last >= 0 and milliseconds - self.last < 30:
            return
        frame = frame.reformat(width=self.width, height=self.height, format="yuv420p")
        frame.pts, frame.time_base = milliseconds, Fraction(1, 1000)
        frame.pict_type = 0
        self.last = milliseconds
        for packet in self.stream.encode(frame):
            self.container.mux(packet)

    def picture(self, picture: Any, at: float) -> None:
        import av

        self.frame(av.VideoFrame.from_image(picture), at)

    def close(self) -> dict[str, Any]:
        for packet in self.stream.encode(None):
            self.container.mux(packet)
        if self.sound is not None:
            self.sound.close()
        self.container.close()
        return {
            "video": {
                "file": "video.webm",
                "type": "video/webm",
                "width": self.width,
                "height": self.height,
            }
        }


class _SoundWriter:
    def __init__(self, container: Any) -> None:
        import av

        self.container = container
        self.stream = container.add_stream("libopus", rate=48_000, layout="stereo")
        self.stream.bit_rate = 80_000
        self.resampler = av.AudioResampler(
            format="s16", layout="stereo", rate=48_000, frame_size=_OPUS_FRAME
        )
        self.samples = 0

    def frame(self, frame: Any) -> None:
        frame.pts = None
        for ready in self.resampler.resample(frame):
            self._write(ready)

    def _write(self, frame: Any) -> None:
        frame.pts, frame.time_base = self.samples, Fraction(1, 48_000)
        self.samples += frame.samples
        for packet in self.stream.encode(frame):
            self.container.mux(packet)

    def close(self) -> None:
        for ready in self.resampler.resample(None):
            self._write(ready)
        for packet in self.stream.encode(None):
            self.container.mux(packet)


def _encode_film(source: Path, format_name: str, folder: Path, limits: Limits) -> dict[str, Any]:
    import av

    with source.open("rb") as file:
        try:
            # A file object and a fixed format: nothing in the file can name another one to open.
            container = av.open(file, format=format_name, metadata_errors="ignore")
        except (av.FFmpegError, ValueError, OSError):
            raise Unreadable("unreadable") from None
        with container:
            video = next(
                (one for one in container.streams.video if not _is_cover(one)),
                None,
            )
            audio = next(iter(container.streams.audio), None)
            try:
                if video is not None:
                    return _film(container, video, audio, folder, limits)
                if audio is not None:
                    return _sound(container, audio, folder, limits)
            except (av.FFmpegError, EOFError):
                raise Unreadable("unreadable") from None
    raise Unreadable("unreadable")


def _is_cover(stream: Any) -> bool:
    """The picture on a sound's sleeve."""
    import av

    return bool(stream.disposition & av.stream.Disposition.attached_pic)


def _film(container: Any, video: Any, audio: Any, folder: Path, limits: Limits) -> dict[str, Any]:
    context = video.codec_context
    width, height = context.width, context.height
    if not width or not height:
        raise Unreadable("unreadable")
    if width * height > limits.pixels:
        raise Unreadable("too_many_pixels")
    video.thread_type = "NONE"
    length = float(container.duration or 0) / 1_000_000
    writer, poster, shots = None, None, []
    end, start, is_cut = 0.0, None, False
    step = min(length or 8.0, limits.seconds) / _STRIP_FRAMES
    for frame in _frames(container, [one for one in (video, audio) if one is not None]):
        at = float(frame.time or 0)
        start = at if start is None else start
        at = max(at - start, 0.0)
        if at > limits.seconds:
            is_cut = True
            break
        if hasattr(frame, "layout"):
            if writer is not None and writer.sound is not None:
                writer.sound.frame(frame)
            continue
        frame = _upright(frame)
        if writer is None:
            width, height = _square(frame)
            writer = _FilmWriter(folder, width, height, limits, sound=audio is not None)
        end = max(end, at)
        if poster is None or (at <= 3 and not poster[1]):
            poster = (frame.to_image(), _shows_something(frame))
        if len(shots) < _STRIP_FRAMES and at >= len(shots) * step:
            shots.append(frame.to_image())
        writer.frame(frame, at)
    if writer is None or poster is None:
        raise Unreadable("unreadable")
    film = writer.close()
    picture = poster[0].resize((width, height)) if poster[0].size != (width, height) else poster[0]
    renditions = {**_write_picture(picture, folder, limits), **film}
    if len(shots) > 2:
        renditions |= _write_strip(shots, width / height, folder)
    return _told("video", width, height, renditions, seconds=max(end, length), is_cut=is_cut)


def _frames(container: Any, streams: list[Any]) -> Any:
    """Decoded frames in the file's order; a part that cannot be decoded is left out alone."""
    import av

    bad = 0
    for packet in container.demux(streams):
        try:
            yield from packet.decode()
        except av.InvalidDataError:
            bad += 1
            if bad > 200:
                raise


def _upright(frame: Any) -> Any:
    """Telephones store the picture lying down, and an angle."""
    import av
    import numpy as np

    turns = round((getattr(frame, "rotation", 0) or 0) / 90) % 4
    if not turns:
        return frame
    time, base = frame.pts, frame.time_base
    array = np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))
    turned = av.VideoFrame.from_ndarray(array, format="rgb24")
    turned.pts, turned.time_base = time, base
    return turned


def _square(frame: Any) -> tuple[int, int]:
    """The size with square pixels."""
    ratio = getattr(frame, "sample_aspect_ratio", None) or 1
    ratio = float(ratio) if 0.2 < float(ratio) < 5 else 1.0
    return max(round(frame.width * ratio), 2), frame.height


def _shows_something(frame: Any) -> bool:
    """Not all one colour, as most films begin."""
    from PIL import ImageStat

    small = frame.reformat(width=32, height=32, format="gray").to_image()
    return bool(ImageStat.Stat(small.convert("L")).stddev[0] > 8)


def _write_strip(shots: list[Any], ratio: float, folder: Path) -> dict[str, Any]:
    """Frames of the whole film side by side: to see at a glance what is in it."""
    from PIL import Image

    width = max(round(_STRIP_HEIGHT * min(ratio, 2.0)), 40)
    strip = Image.new("RGB", (width * len(shots), _STRIP_HEIGHT))
    for number, shot in enumerate(shots):
        strip.paste(shot.convert("RGB").resize((width, _STRIP_HEIGHT)), (number * width, 0))
    strip.save(folder / "strip.webp", "WEBP", quality=70, method=3)
    return {
        "strip": {
            "file": "strip.webp",
            "type": "image/webp",
            "width": strip.width,
            "height": strip.height,
        }
    }


def _sound(container: Any, audio: Any, folder: Path, limits: Limits) -> dict[str, Any]:
    import av

    length = float(container.duration or 0) / 1_000_000
    end, is_cut = 0.0, False
    with av.open(str(folder / "audio.webm"), "w", format="webm") as out:
        writer = _SoundWriter(out)
        for frame in _frames(container, [audio]):
            end = writer.samples / 48_000
            if end > limits.seconds:
                is_cut = True
                break
            writer.frame(frame)
        if not writer.samples and not end:
            end = 0.0
        writer.close()
        end = writer.samples / 48_000
    if not end:
        raise Unreadable("unreadable")
    renditions = {"audio": {"file": "audio.webm", "type": "audio/webm"}}
    seconds = max(length, end) if is_cut else end
    return _told("audio", 0, 0, renditions, seconds=seconds, is_cut=is_cut)


def _fit(width: int, height: int, side: int) -> tuple[int, int]:
    """Within a square of this side, never larger, both even: chroma comes in pairs."""
    scale = min(side / max(width, height), 1)
    return max(round(width * scale) // 2 * 2, 2), max(round(height * scale) // 2 * 2, 2)


def _told(
    form: str,
    width: int,
    height: int,
    renditions: dict[str, Any],
    *,
    seconds: float = 0.0,
    is_cut: bool = False,
) -> dict[str, Any]:
    return {
        "form": form,
        "width": width,
        "height": height,
        "seconds": round(seconds, 3),
        "is_cut": is_cut,
        "renditions": renditions,
    }


def _end(told: dict[str, Any], code: int) -> NoReturn:
    sys.stdout.write(json.dumps(told))
    sys.stdout.flush()
    sys.exit(code)


def main(source: str, folder: str, limits_json: str) -> NoReturn:
    limits = Limits(**json.loads(limits_json))
    confine(limits)
    try:
        _end(encode(Path(source), Path(folder), limits), 0)
    except Unreadable as error:
        _end({"error": error.code}, 3)
    except MemoryError:
        _end({"error": "too_much"}, 3)


if __name__ == "__main__":
    main(*sys.argv[1:4])
