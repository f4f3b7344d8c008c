"""Is the end of a certificate read rightly, and is it told of in time?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.errors import ConfigurationError
from ops.model.certificate import CertificateFile, CertificateRules, judge_certificates, parse_rules, read_certificates

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
KEY = ec.generate_private_key(ec.SECP256R1())
RULES = CertificateRules(("tls/*.pem",))


def certificate(start: datetime, end: datetime, name: str = "comics.example.com") -> bytes:
    """A certificate as somebody else's library makes it."""
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(KEY, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


moments = st.datetimes(datetime(1951, 1, 1), datetime(2999, 1, 1)).map(  # noqa: DTZ001
    lambda one: one.replace(microsecond=0, tzinfo=UTC)
)


@settings(max_examples=60, deadline=None)
@given(moments, st.timedeltas(timedelta(seconds=1), timedelta(days=30000)))
def test_both_dates_are_the_ones_that_were_written_also_after_2049(start: datetime, length: timedelta) -> None:
    end = (start + length).replace(microsecond=0) + timedelta(seconds=1)

    read = read_certificates("a.pem", certificate(start, end))

    assert (read.valid_from, read.valid_until, read.problem) == (start, end, "")


def test_of_a_chain_the_certificate_that_ends_first_decides() -> None:
    leaf = certificate(NOW - timedelta(1), NOW + timedelta(80))
    middle = certificate(NOW - timedelta(9), NOW + timedelta(5), "the middle one")

    assert read_certificates("chain.pem", leaf + middle).valid_until == NOW + timedelta(5)


def test_a_key_or_a_damaged_certificate_is_a_problem_not_a_crash() -> None:
    key = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    whole = certificate(NOW, NOW + timedelta(1))
    cut = whole[: len(whole) // 2] + b"\n-----END CERTIFICATE-----\n"

    assert read_certificates("privkey.pem", key).problem == "it holds no certificate"
    assert read_certificates("cut.pem", cut).problem == "its certificate cannot be read"
    assert read_certificates("empty.pem", b"").problem == "it holds no certificate"


@pytest.mark.parametrize(
    ("left", "level"),
    [
        (timedelta(days=90), "ok"),
        (timedelta(days=21, seconds=1), "ok"),
        (timedelta(days=21), "warning"),
        (timedelta(days=7), "critical"),
        (timedelta(0), "critical"),
        (timedelta(days=-3), "critical"),
    ],
)
def test_the_days_left_decide(left, level) -> None:
    found = judge_certificates([CertificateFile("a.pem", NOW - timedelta(300), NOW + left)], RULES, NOW)

    assert [one.level for one in found] == [level]
    assert (found[0].hint != "") is (level != "ok")


def test_one_that_is_not_good_yet_is_critical_and_none_at_all_is_fine() -> None:
    early = CertificateFile("a.pem", NOW + timedelta(1), NOW + timedelta(90))

    assert judge_certificates([early], RULES, NOW)[0].level == "critical"
    assert [one.level for one in judge_certificates([], RULES, NOW)] == ["ok"]
    assert [one.level for one in judge_certificates([], CertificateRules(), NOW)] == ["ok"]


def test_the_thresholds_are_what_the_configuration_says() -> None:
    rules = parse_rules({"files": ["a.pem"], "warning-days": 40, "critical-days": 30})
    in_35_days = CertificateFile("a.pem", NOW - timedelta(1), NOW + timedelta(35))

    assert judge_certificates([in_35_days], rules, NOW)[0].level == "warning"
    assert parse_rules({}) == CertificateRules()


@pytest.mark.parametrize(
    "values",
    [
        {"file": ["a.pem"]},
        {"files": "a.pem"},
        {"files": [1]},
        {"warning-days": -1},
        {"warning-days": True},
        {"warning-days": 5, "critical-days": 6},
    ],
)
def test_a_configuration_that_means_nothing_is_refused(values) -> None:
    with pytest.raises(ConfigurationError, match=r"tool\.ops\.certificates"):
        parse_rules(values)
