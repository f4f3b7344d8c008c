"""Until when is a TLS certificate good, and when is that too soon?

Dates are read from the certificate's DER by hand: they sit at a fixed place, and the library for the rest is an extra
that the scheduler need not have. A file may hold a chain: the certificate that ends first decides.

Source: RFC 5280, section 4.1 (order of the fields) and 4.1.2.5 (UTCTime up to 2049, GeneralizedTime after).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ops.errors import ConfigurationError
from ops.model.finding import Finding, Level

_PEM = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.*?)-----END", re.DOTALL)
_SEQUENCE, _UTC_TIME, _VERSION = 0x30, 0x17, 0xA0
_FORMS = {_UTC_TIME: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
"""Tag of a kind of time -> how it is written."""
WARNING = timedelta(days=21)
CRITICAL = timedelta(days=7)
_HINT = "renew it, then: inv exec --service nginx -- nginx -s reload"


@dataclass(frozen=True, slots=True)
class CertificateRules:
    """`[tool.ops.certificates]`: which files, and how many days before their end they are told of."""

    files: tuple[str, ...] = ()
    """Names or patterns, absolute or below the project's folder; a pattern may match nothing, a name must be there."""
    warning: timedelta = WARNING
    critical: timedelta = CRITICAL


@dataclass(frozen=True, slots=True)
class CertificateFile:
    """What one file says; `problem` where it cannot be read or holds no certificate."""

    name: str
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    problem: str = ""


def parse_rules(values: Mapping[str, object]) -> CertificateRules:
    """Read `[tool.ops.certificates]`: `files`, `warning-days`, `critical-days`. Raises: ConfigurationError."""
    known = {"files", "warning-days", "critical-days"}
    for key in values:
        if key not in known:
            raise ConfigurationError(
                f"tool.ops.certificates.{key} is unknown", cause=f"known are {', '.join(sorted(known))}"
            )
    files = values.get("files", [])
    if not isinstance(files, list) or not all(isinstance(one, str) and one for one in files):
        raise ConfigurationError("tool.ops.certificates.files is no list of names", cause=f"it is {files!r}")
    rules = CertificateRules(
        tuple(files),
        _days(values, "warning-days", WARNING),
        _days(values, "critical-days", CRITICAL),
    )
    if rules.critical > rules.warning:
        raise ConfigurationError(
            "tool.ops.certificates.critical-days is more than warning-days",
            cause=f"{rules.critical.days} and {rules.warning.days}",
        )
    return rules


def _days(values: Mapping[str, object], key: str, default: timedelta) -> timedelta:
    value = values.get(key, default.days)
    if type(value) is not int or not 0 <= value <= 3650:
        raise ConfigurationError(f"tool.ops.certificates.{key} is {value!r}", cause="a number of days is wanted")
    return timedelta(days=value)


def read_certificates(name: str, content: bytes) -> CertificateFile:
    """What the certificates in a PEM file say: valid from the latest start to the earliest end of the chain."""
    blocks = _PEM.findall(content)
    if not blocks:
        return CertificateFile(name, problem="it holds no certificate")
    try:
        spans = [validity(base64.b64decode(block)) for block in blocks]
    except (ValueError, IndexError, binascii.Error):
        return CertificateFile(name, problem="its certificate cannot be read")
    return CertificateFile(name, max(start for start, _ in spans), min(end for _, end in spans))


def validity(der: bytes) -> tuple[datetime, datetime]:
    """From when until when one certificate is good. Raises: ValueError, IndexError for anything else."""
    body = _inside(_inside(der, _SEQUENCE)[0], _SEQUENCE)[0]
    if body[0] == _VERSION:
        body = _inside(body, _VERSION)[1]
    for _ in range(3):  # serial number, signature's algorithm, issuer
        body = _inside(body, body[0])[1]
    both = _inside(body, _SEQUENCE)[0]
    start, rest = _inside(both, both[0])
    end, _ = _inside(rest, rest[0])
    return _moment(both[0], start), _moment(rest[0], end)


def judge_certificates(files: Sequence[CertificateFile], rules: CertificateRules, now: datetime) -> tuple[Finding, ...]:
    """One finding a file; one that says so where there are none."""
    if not rules.files:
        return (Finding("certificate", "ok", "none is configured: tool.ops.certificates.files"),)
    if not files:
        return (Finding("certificate", "ok", f"none is there: {', '.join(rules.files)}"),)
    return tuple(_judged(one, rules, now) for one in files)


def _judged(file: CertificateFile, rules: CertificateRules, now: datetime) -> Finding:
    if file.valid_until is None or file.valid_from is None:
        return Finding("certificate", "critical", f"{file.name}: {file.problem}", f"look at it: {file.name}")
    left = file.valid_until - now
    until = f"until {file.valid_until:%Y-%m-%d %H:%M} UTC"
    if left <= timedelta():
        return Finding("certificate", "critical", f"{file.name} was good {until}: it has expired", _HINT)
    if file.valid_from > now:
        said = f"{file.name} is good from {file.valid_from:%Y-%m-%d %H:%M} UTC only"
        return Finding("certificate", "critical", said, "look at this machine's clock, or at the certificate")
    level: Level = "critical" if left <= rules.critical else "warning" if left <= rules.warning else "ok"
    days = left / timedelta(days=1)
    return Finding("certificate", level, f"{file.name}: {days:.0f} days left, {until}", "" if level == "ok" else _HINT)


def _inside(der: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first value of `der`, and what follows it."""
    if der[0] != tag:
        raise ValueError(f"tag {der[0]:#x} where {tag:#x} is expected")
    length, start = der[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(der[2:start], "big")
    if len(der) < start + length:
        raise ValueError("cut short")
    return der[start : start + length], der[start + length :]


def _moment(tag: int, text: bytes) -> datetime:
    form = _FORMS.get(tag)
    if form is None:
        raise ValueError(f"tag {tag:#x} is no time")
    moment = datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC)
    # Two digits: 50 to 99 are of the last century (RFC 5280); Python turns at 69.
    return moment.replace(year=moment.year - 100) if tag == _UTC_TIME and moment.year >= 2050 else moment
