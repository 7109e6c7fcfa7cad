"""pip install -r FILE: a short line now and then instead of hundreds; all of them on failure."""

import subprocess
import sys
import time


def main(file: str) -> int:
    began = time.monotonic()
    say(f"Installing {file} (the first time this takes a minute or two and 1.5 GB of disk)")
    pip = subprocess.Popen(  # noqa: S603
        [
            *(sys.executable, "-m", "pip", "install", "--no-input", "--progress-bar", "off"),
            *("--disable-pip-version-check", "-r", file),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    lines: list[str] = []
    found, said_at = 0, began
    for line in pip.stdout or ():
        lines.append(line)
        found += line.startswith("Collecting ")
        if line.startswith("Installing collected packages"):
            say(f"  {time.monotonic() - began:4.0f} s  unpacking {line.count(',') + 1} packages")
        elif line.startswith("Collecting ") and time.monotonic() - said_at > 5:
            said_at = time.monotonic()
            say(f"  {said_at - began:4.0f} s  {found} packages fetched")
    if pip.wait() != 0:
        sys.stderr.writelines(lines)
        return pip.returncode
    say(f"  {time.monotonic() - began:4.0f} s  done")
    return 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
