"""The root of every error a person can act on.

CountersignError
├── SettingsInvalid      the configuration cannot be used
├── DatabaseUnusable     Postgres is there but not fit (no pgvector, wrong role, unreachable)
├── Refused              a request breaks a rule; the message names the rule
└── …                    each package adds its own beside the code that raises them
"""


class CountersignError(Exception):
    """Something went wrong that a person can act on: the message says what happened, then what to do."""


class SettingsInvalid(CountersignError):
    """The configuration cannot be used as it stands."""


class DatabaseUnusable(CountersignError):
    """Postgres answers but is not fit for use, or does not answer at all."""


class Refused(CountersignError):
    """A request breaks a rule; nothing was done."""
