"""Which value does a restored database get for a setting that is a secret?"""

from __future__ import annotations

from ops.model.database import DatabaseFacts
from ops.model.masked_settings import unmasked


def facts(*settings: tuple[str, str, str]) -> DatabaseFacts:
    return DatabaseFacts("postgresql", "app", "17.2", 17, "1", 0, settings=settings)


def test_a_masked_value_is_taken_from_the_live_database() -> None:
    backup = facts(("", "timezone", "UTC"), ("", "app.key", "***"), ("ann", "app.key", "***"))

    filled, lost = unmasked(backup, facts(("ann", "app.key", "hers"), ("", "app.key", "mine"), ("", "jit", "off")))

    assert filled.settings == (("", "timezone", "UTC"), ("", "app.key", "mine"), ("ann", "app.key", "hers"))
    assert lost == ()


def test_a_masked_value_that_the_live_database_lacks_is_reported_and_never_put_back_as_stars() -> None:
    filled, lost = unmasked(facts(("", "app.key", "***"), ("ann", "app.key", "***")), None)

    assert filled.settings == ()
    assert lost == (
        "setting app.key: its value is a secret, which no backup holds; set it by hand",
        "setting app.key of role ann: its value is a secret, which no backup holds; set it by hand",
    )
