"""How does a process become another user, and end with its parent, before it becomes a program?

Run as a script (`python -I -S as_user.py UID GID CAPABILITY SIGNAL PROGRAM...`) it changes itself and then becomes the
program (by its absolute path), keeping its process id. PostgreSQL refuses root; the user that it runs as instead may
be unable to pass the folders above its data or its programs, and those are not ours to open up. One capability, kept
across the change of user, is then enough: CAP_DAC_READ_SEARCH reads and passes everything and writes nothing.

Standard library only, because it runs before our packages are reachable.

Source: capabilities(7), prctl(2).
"""

from __future__ import annotations

import ctypes
import os
import sys

_UNCHANGED = "-"
_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522


def command(
    uid: int | None, gid: int | None, *, capability: int | None = None, death_signal: int = 0
) -> tuple[str, ...]:
    """The arguments that stand before a program's own.

    Args:
        uid: user to become, None to stay who we are.
        gid: its group; all other groups are dropped.
        capability: number of the one capability to keep, None for none.
        death_signal: what the program gets when its parent dies (Linux only), 0 for nothing.
    """
    return (
        sys.executable,
        "-I",
        "-S",
        __file__,
        _UNCHANGED if uid is None else str(uid),
        _UNCHANGED if gid is None else str(gid),
        _UNCHANGED if capability is None else str(capability),
        str(death_signal),
    )


def main() -> None:
    """Change ourselves as the arguments say, then become the program."""
    uid, gid, capability, death_signal, *program = sys.argv[1:]
    if uid != _UNCHANGED:
        _become(int(uid), int(gid), None if capability == _UNCHANGED else int(capability))
    if int(death_signal) and sys.platform == "linux":
        _control(_PR_SET_PDEATHSIG, int(death_signal))
    try:
        os.execv(program[0], program)  # noqa: S606 - to become the program is the purpose
    except OSError as exc:
        sys.stderr.write(f"{program[0]}: {exc.strerror}\n")
        sys.exit(126 if isinstance(exc, PermissionError) else 127)


def _become(uid: int, gid: int, capability: int | None) -> None:
    if capability is not None:
        _control(_PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if capability is not None:
        _keep_only(capability)


def _keep_only(capability: int) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    bit = 1 << capability
    data = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    if ctypes.CDLL(None, use_errno=True).capset(header, data):
        sys.exit(f"capset: {os.strerror(ctypes.get_errno())}")
    _control(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability)


def _control(*arguments: int) -> None:
    words = [ctypes.c_ulong(argument) for argument in (*arguments, 0, 0, 0, 0)[:5]]
    if ctypes.CDLL(None, use_errno=True).prctl(*words):
        sys.exit(f"prctl {arguments}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main()
