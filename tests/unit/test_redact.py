"""Secrets stay inside, known or merely shaped like one."""

import pytest

from core.redact import Redactor

SHAPED = [
    "xoxb-1234567890-abcdef",
    "xoxp-1234567890-abcdef",
    "xoxe-1-abcdefabcdef",
    "xoxe.xoxp-1-abcdefabcdef",
    "xapp-1-A0123-4567-abcdef",
    "sk-abcdefghijklmnopqrstuv",
    "sk-proj-abcdefghijklmnopqrstuv",
]


@pytest.mark.parametrize("secret", SHAPED)
@pytest.mark.parametrize("around", ["{}", "token={}.", 'got "{}", sorry', "{},{}"])
def test_what_is_shaped_like_a_secret_is_hidden_wherever_it_stands(secret, around):
    text = Redactor()(around.replace("{}", secret))
    assert secret.rpartition("-")[2] not in text
    assert "[secret]" in text


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:hunter2@db/app",
        "redis://:hunter2@cache:6379/0",
        "rediss://default:hunter2@cache",
        "failed: postgresql://app:hunter2@db:5432/app?sslmode=require (timeout)",
    ],
)
def test_a_password_in_an_address_is_hidden_and_the_address_is_not(url):
    text = Redactor()(url)
    assert "hunter2" not in text
    assert "@db" in text or "@cache" in text


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_header_is_hidden(word):
    assert "abcdef" not in Redactor()(f"Authorization: {word} abcdef.123456/789")


def test_known_secrets_are_hidden_whatever_their_shape():
    redact = Redactor(["correct horse", "correct horse battery", ""])
    assert redact("it is correct horse battery, or correct horse") == "it is [secret], or [secret]"


def test_a_secret_with_signs_of_its_own_is_taken_literally():
    assert Redactor(["a.c+(d)*"])("a.c+(d)* but abc") == "[secret] but abc"


@pytest.mark.parametrize("text", ["Refund 10 USD for #W1", "https://example.org/a:b", "mail a@b.example", "12:30"])
def test_ordinary_text_is_left_alone(text):
    assert Redactor(["abc"])(text) == text
