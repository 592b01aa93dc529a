"""The part of tests.bench.prometheus_day that runs on the host, by the standard library alone.

Arguments: number of series, hours, MemoryMax. See there.
"""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

UNIT = "prometheus-day"
DATA = Path("/var/lib/prometheus-day")
URL = "http://127.0.0.1:9990"
STEP_MS = 5_000
BATCH = 60  # samples of a series in a request: five minutes
SERIES_IN_REQUEST = 500
# Prometheus writes a block when its head holds three hours; a day must not come faster than that.
HEAD_LIMIT_MS = int(3.5 * 3600 * 1000)


def varint(number: int) -> bytes:
    """Return a number in protobuf's variable length."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def field(number: int, content: bytes) -> bytes:
    """Return a length-delimited protobuf field."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def label(name: str, value: str) -> bytes:
    """Return a label of remote write 1.0 (field 1 of TimeSeries)."""
    return field(1, field(1, name.encode()) + field(2, value.encode()))


def samples(start_ms: int) -> bytes:
    """Return a batch of samples (field 2 of TimeSeries): a counter that grows unevenly."""
    out = b""
    for index in range(BATCH):
        at = start_ms + index * STEP_MS
        value = float(at // 1000 % 86_400 + index * index % 7)
        out += field(2, b"\x09" + struct.pack("<d", value) + b"\x10" + varint(at))
    return out


def snappy(content: bytes) -> bytes:
    """Return content in snappy's block format, as literals alone: valid, and not smaller."""
    out = bytearray(varint(len(content)))
    for begin in range(0, len(content), 65_536):
        piece = content[begin : begin + 65_536]
        out += b"\xf4" + struct.pack("<H", len(piece) - 1) + piece
    return bytes(out)


def ask(path: str, body: bytes | None = None) -> bytes:
    """Return the body of an answer. Raises OSError."""
    request = urllib.request.Request(URL + path, data=body)  # noqa: S310 - the loopback
    if body is not None:
        request.add_header("Content-Type", "application/x-protobuf")
        request.add_header("Content-Encoding", "snappy")
        request.add_header("X-Prometheus-Remote-Write-Version", "0.1.0")
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the loopback
        content: bytes = answer.read()
        return content


def metric(name: str) -> float:
    """Return the value of one of Prometheus's own metrics without labels."""
    for line in ask("/metrics").decode().splitlines():
        if line.startswith(f"{name} "):
            return float(line.split()[1])
    raise KeyError(name)


def start(memory_max: str) -> float:
    """Start Prometheus as the stack's unit is; return the seconds until it is ready."""
    subprocess.run(["systemctl", "reset-failed", UNIT], capture_output=True, check=False)
    limit = int(
        int(memory_max[:-1]) * {"K": 1024, "M": 1024**2, "G": 1024**3}[memory_max[-1]] * 0.9
    )
    began = time.monotonic()
    subprocess.run(
        [
            "systemd-run", "--quiet", f"--unit={UNIT}", f"--property=MemoryMax={memory_max}",
            f"--setenv=GOMEMLIMIT={limit}", "/usr/local/bin/prometheus",
            f"--config.file={DATA}/prometheus.yml", f"--storage.tsdb.path={DATA}/data",
            "--web.enable-remote-write-receiver", "--web.listen-address=127.0.0.1:9990",
            "--log.level=warn",
        ],
        check=True,
    )  # fmt: skip
    while True:
        try:
            ask("/-/ready")
            return time.monotonic() - began
        except OSError:
            state = systemctl("ActiveState")
            if state not in ("active", "activating") or time.monotonic() - began > 300:
                sys.exit(f"Prometheus does not become ready: {state}, {systemctl('Result')}")
            # Between two looks; the limit is above.
            time.sleep(0.05)


def systemctl(name: str) -> str:
    """Return a property of the unit."""
    command = ["systemctl", "show", "--value", f"--property={name}", UNIT]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def peak_mib() -> float:
    """Return the most resident memory that the process has had, in MiB."""
    status = Path(f"/proc/{systemctl('MainPID')}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def send(series: int, start_ms: int, batches: int) -> None:
    """Send everything, oldest first, and let Prometheus write its blocks in between."""
    names = [
        label("__name__", f"day_{index % 50}") + label("instance", "localhost:9100")
        + label("job", "node") + label("number", str(index))
        for index in range(series)
    ]  # fmt: skip
    for number in range(batches):
        at = start_ms + number * BATCH * STEP_MS
        part = samples(at)
        for begin in range(0, series, SERIES_IN_REQUEST):
            body = b"".join(
                field(1, name + part) for name in names[begin : begin + SERIES_IN_REQUEST]
            )
            ask("/api/v1/write", snappy(body))
        while at - metric("prometheus_tsdb_head_min_time_seconds") * 1000 > HEAD_LIMIT_MS:
            # Prometheus compacts in the background, when it likes.
            time.sleep(0.2)


def counted(hours: int, end_ms: int) -> int:
    """Return how many samples of one series are there."""
    query = f"count_over_time(day_7%7Bnumber%3D%227%22%7D[{hours + 1}h])"
    answer = json.loads(ask(f"/api/v1/query?time={end_ms / 1000}&query={query}"))
    return int(answer["data"]["result"][0]["value"][1])


def main() -> int:
    """Run; returns the exit status."""
    series, hours, memory_max = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    batches = hours * 3600 * 1000 // (BATCH * STEP_MS)
    end_ms = int(time.time()) // 300 * 300 * 1000
    start_ms = end_ms - batches * BATCH * STEP_MS
    shutil.rmtree(DATA, ignore_errors=True)
    DATA.mkdir()
    (DATA / "prometheus.yml").write_text("global: {}\n")
    try:
        start(memory_max)
        began = time.monotonic()
        send(series, start_ms, batches)
        total = series * batches * BATCH
        seconds = time.monotonic() - began
        amount = f"{total / 1e6:.1f} million samples in {seconds:.0f} s"
        print(f"{series} series, {hours} h at 5 s: {amount}")
        print(f"peak while they came      {peak_mib():.0f} MiB of {memory_max}")
        size = sum(f.stat().st_size for f in (DATA / "data").rglob("*") if f.is_file())
        print(
            f"on the disk               {size / 2**20:.0f} MiB, {size / total:.2f} bytes a sample"
        )
        subprocess.run(["systemctl", "kill", "--signal=KILL", UNIT], check=True)
        while systemctl("ActiveState") in ("active", "deactivating"):
            # The kill is done when systemd has seen it.
            time.sleep(0.05)
        print(f"ready after kill -9       {start(memory_max):.1f} s")
        print(f"peak of coming back       {peak_mib():.0f} MiB")
        there = counted(hours, end_ms)
        print(f"samples of a series       {there} of {batches * BATCH}")
        print(f"restarts                  {systemctl('NRestarts')}, result {systemctl('Result')}")
        return 0 if there == batches * BATCH else 1
    finally:
        subprocess.run(["systemctl", "stop", UNIT], capture_output=True, check=False)
        shutil.rmtree(DATA, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
