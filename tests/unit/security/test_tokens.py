"""Bearer tokens: what is made, what is known, and the file that they may stand in."""

import hashlib
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from dbopsd.config import AuthConfig, TokenConfig
from dbopsd.errors import ConfigurationError
from dbopsd.security.caller import Caller, Role
from dbopsd.security.errors import TokenExpired, TokenUnknown
from dbopsd.security.token_file import append_token, to_toml
from dbopsd.security.tokens import Tokens, hash_token, new_token, read_tokens

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def table(token: str, **keys: object) -> TokenConfig:
    return TokenConfig.model_validate({"hash": hash_token(token), "role": "VIEWER", **keys})


def known(config: AuthConfig, now: list[float] | None = None) -> Tokens:
    return Tokens.load(config, clock=lambda: now[0] if now else NOW.timestamp())


def write(path: Path, **tokens: TokenConfig) -> None:
    path.write_text("\n".join(to_toml(name, token) for name, token in tokens.items()))
    path.chmod(0o600)


def test_a_new_token_is_random_and_shows_what_it_is():
    first, second = new_token(), new_token()
    assert first != second
    assert first.startswith("dbops_")
    assert len(first) == len("dbops_") + 43
    assert hash_token(first) == f"sha256:{hashlib.sha256(first.encode()).hexdigest()}"


def test_whose_it_is():
    token = new_token()
    config = AuthConfig(
        tokens={"ci": table(token, role="OPERATOR", databases={"main": "ADMIN", "b": "VIEWER"})}
    )
    assert known(config).find(token) == Caller(
        "ci", Role.OPERATOR, (("b", Role.VIEWER), ("main", Role.ADMIN)), "token"
    )


@pytest.mark.parametrize(
    "shown",
    [
        *("", "dbops_", "x", "\udcff", "\0", "é" * 1000, hash_token("t")),
        # Each process of the tests collects this one under the same name.
        pytest.param(new_token(), id="another"),
    ],
)
def test_one_that_is_not_known(shown):
    with pytest.raises(TokenUnknown) as caught:
        known(AuthConfig(tokens={"ci": table("t")})).find(shown)
    assert not shown or len(shown) < 3 or shown not in str(caught.value)


def test_it_ends_with_its_last_second():
    now = [NOW.timestamp() - 1]
    tokens = known(AuthConfig(tokens={"ci": table("t", expire_time=NOW)}), now)
    assert tokens.find("t").name == "ci"
    now[0] += 1
    with pytest.raises(TokenExpired):
        tokens.find("t")


class TestConfiguration:
    @pytest.mark.parametrize(
        "text",
        ["", "sha256:", "t", "sha256:" + "g" * 64, "sha256:" + "A" * 64, "md5:" + "0" * 32],
    )
    def test_what_is_no_hash_is_refused_and_not_repeated(self, text):
        with pytest.raises(ValidationError) as caught:
            TokenConfig(hash=text, role="VIEWER")
        (error,) = caught.value.errors()
        assert error["loc"] == ("hash",)
        assert len(text) < 10 or text not in error["msg"]

    @pytest.mark.parametrize("name", ["", "a b", "a\nb", "é", "a" * 101, "-a"])
    def test_a_name_that_would_be_no_good_in_a_log(self, name):
        with pytest.raises(ValidationError):
            AuthConfig(tokens={name: table("t")})

    def test_one_hash_has_one_name(self):
        with pytest.raises(ValidationError, match="one hash under two names"):
            AuthConfig(tokens={"a": table("t"), "b": table("t")})

    def test_a_token_for_nothing_is_a_mistake(self):
        with pytest.raises(ValidationError, match="needs a role"):
            TokenConfig(hash=hash_token("t"))

    def test_a_time_needs_its_zone(self):
        text = "2027-01-01T00:00:00"
        with pytest.raises(ValidationError, match="timezone"):
            TokenConfig.model_validate(
                {"hash": hash_token("t"), "role": "ADMIN", "expire_time": text}
            )


class TestFile:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "tokens.toml"

    def test_what_is_written_is_read(self, path):
        tables = {
            "ci": table("a", databases={"main": "ADMIN"}, expire_time=NOW),
            "ann@example.org": table("b", role=None, databases={"side-2": "VIEWER"}),
        }
        write(path, **tables)
        assert read_tokens(path) == tables

    def test_it_adds_to_the_configuration(self, path):
        write(path, ci=table("a"))
        tokens = known(AuthConfig(tokens={"ann": table("b")}, tokens_file=path))
        assert (tokens.find("a").name, tokens.find("b").name) == ("ci", "ann")

    def test_a_change_counts_at_the_next_look(self, path):
        write(path, ci=table("a"))
        tokens = known(AuthConfig(tokens_file=path))
        write(path, other=table("b"))
        assert tokens.find("a").name == "ci"
        tokens.refresh()
        assert tokens.find("b").name == "other"
        with pytest.raises(TokenUnknown):
            tokens.find("a")

    @pytest.mark.parametrize("content", ["[auth.tokens.ci", "x = 1", "[auth]\njwt = 1", "\xff"])
    def test_a_file_that_is_no_good_changes_nothing(self, path, caplog, content):
        write(path, ci=table("a"))
        tokens = known(AuthConfig(tokens_file=path))
        path.write_bytes(content.encode("latin-1"))
        tokens.refresh()
        tokens.refresh()
        assert tokens.find("a").name == "ci"
        assert caplog.text.count("those before them stay") == 1

    def test_a_file_that_is_gone_takes_its_tokens_with_it(self, path, caplog):
        write(path, ci=table("a"))
        tokens = known(AuthConfig(tokens={"ann": table("b")}, tokens_file=path))
        path.unlink()
        tokens.refresh()
        assert "is gone" in caplog.text
        assert tokens.find("b").name == "ann"
        with pytest.raises(TokenUnknown):
            tokens.find("a")

    @pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
    def test_one_that_others_may_write_to_is_refused(self, path, mode):
        write(path, ci=table("a"))
        path.chmod(mode)
        with pytest.raises(ConfigurationError, match="may be written by others"):
            known(AuthConfig(tokens_file=path))

    def test_one_that_is_not_there_is_said_at_the_start(self, path):
        with pytest.raises(ConfigurationError, match=r"auth\.tokens_file: .* cannot be read"):
            known(AuthConfig(tokens_file=path))

    def test_a_name_in_both_places_is_said(self, path):
        write(path, ci=table("a"))
        with pytest.raises(ConfigurationError, match="'ci', which is configured already"):
            known(AuthConfig(tokens={"ci": table("b")}, tokens_file=path))

    def test_a_mistake_in_it_is_told_with_its_key(self, path):
        path.write_text('[auth.tokens.ci]\nhash = "secret"\nrole = "VIEWER"\n')
        with pytest.raises(ConfigurationError, match=r"'auth\.tokens\.ci\.hash': is not") as caught:
            read_tokens(path)
        assert "secret" not in str(caught.value)


class TestAppending:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "tokens.toml"

    def test_it_makes_the_file_and_adds_to_it(self, path):
        append_token(path, "a", table("1"))
        path.chmod(0o644)
        append_token(path, "b", table("2"))
        assert read_tokens(path) == {"a": table("1"), "b": table("2")}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert list(path.parent.iterdir()) == [path]

    def test_comments_stay(self, path):
        path.write_text("# ours\n")
        append_token(path, "a", table("1"))
        assert path.read_text().startswith("# ours\n")

    def test_a_name_that_is_there_is_not_written_over(self, path):
        append_token(path, "a", table("1"))
        with pytest.raises(ConfigurationError, match="has a token 'a' already"):
            append_token(path, "a", table("2"))
        assert read_tokens(path) == {"a": table("1")}

    def test_a_file_of_something_else_is_left_alone(self, path):
        path.write_text("[server]\n")
        with pytest.raises(ConfigurationError, match="something else in it"):
            append_token(path, "a", table("1"))
        assert path.read_text() == "[server]\n"

    def test_a_directory_that_is_not_there(self, tmp_path):
        with pytest.raises(ConfigurationError, match="cannot be written: no such file"):
            append_token(tmp_path / "no" / "tokens.toml", "a", table("1"))

    def test_what_expires_is_written_to_the_second(self, path):
        table_ = table("1", expire_time=NOW + timedelta(days=90))
        append_token(path, "a", table_)
        assert "expire_time = 2027-04-01T00:00:00+00:00" in path.read_text()
