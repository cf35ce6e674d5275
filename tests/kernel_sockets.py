"""The kernel's table of TCP connections (`/proc/net/tcp`: IPv4 alone)."""

from pathlib import Path


def inodes(local_port: int, remote_port: int) -> set[str]:
    """The inodes of the sockets of this host that connect these two ports; "0" for one that no process has any more."""
    ends = [f":{local_port:04X}", f":{remote_port:04X}"]
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1])}
