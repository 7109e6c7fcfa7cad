"""Small files of each form, made on the spot."""

import io
import math
import wave

from django.core.files.base import ContentFile

from reviews import media, media_work


def png(width=40, height=30, colour="teal") -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(out, "PNG")
    return out.getvalue()


def gif(frames=6) -> bytes:
    from PIL import Image

    pictures = [Image.new("RGB", (64, 48), (number * 30, 90, 60)) for number in range(frames)]
    out = io.BytesIO()
    pictures[0].save(out, "GIF", save_all=True, append_images=pictures[1:], duration=100)
    return out.getvalue()


def wav(seconds=1.0, rate=8000) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        for number in range(int(seconds * rate)):
            value = int(9000 * math.sin(number * 440 * 2 * math.pi / rate))
            file.writeframesraw(value.to_bytes(2, "little", signed=True))
    return out.getvalue()


def film(seconds=2.0, width=96, height=64) -> bytes:
    import av
    from PIL import Image, ImageDraw

    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(int(seconds * 10)):
            picture = Image.new("RGB", (width, height), "white")
            ImageDraw.Draw(picture).rectangle((number, 10, number + 30, 50), fill="crimson")
            for packet in stream.encode(av.VideoFrame.from_image(picture)):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)
    return out.getvalue()


def upload(platform, content: bytes, *, prepared=False):
    """A medium of this platform; `prepared`: a worker has been there already."""
    medium, _ = media.upload_medium(platform, ContentFile(content, name="x"), by=None)
    if prepared and medium.state == "due":
        media_work.prepare_due()
        medium.refresh_from_db()
    return medium
