"""Ports of a pod's containers.

Owns what a port may be. Deliberately knows no protocol.
"""

from .errors import Expectation, expect

UNPRIVILEGED = range(1024, 65536)
"""Ports that a process without root may open."""


def expectations(**ports: int | None) -> tuple[Expectation, ...]:
    """That every given port can be opened by an unprivileged process, and by one container only.

    Args:
        **ports: Port numbers by field name; None for a port that is not used.
    """
    used = {field: port for field, port in ports.items() if port is not None}
    return tuple(_expectation(field, port, used) for field, port in used.items())


def _expectation(field: str, port: int, used: dict[str, int]) -> Expectation:
    same = [other for other, number in used.items() if number == port and other < field]
    if same:
        return expect(field, False, want=f"another port than {same[0]}", why="two listeners cannot share a port")
    return expect(
        field, port in UNPRIVILEGED, want="1024 to 65535", why="the process is not root and may not open lower ports"
    )
