import pytest

from toadstone.environment import variable


def test_a_variable_is_read_under_its_name(monkeypatch):
    monkeypatch.setenv("TOADSTONE_DATA", "/here")
    monkeypatch.setenv("BEZOAR_DATA", "/there")
    assert variable("DATA") == "/here"
    monkeypatch.delenv("BEZOAR_DATA")
    monkeypatch.setenv("TOADSTONE_DATA", "")
    assert variable("DATA") is None


def test_the_old_name_is_read_with_a_note(monkeypatch):
    monkeypatch.delenv("TOADSTONE_DATA", raising=False)
    monkeypatch.setenv("BEZOAR_DATA", "/there")
    with pytest.warns(FutureWarning, match="BEZOAR_DATA is called TOADSTONE_DATA now"):
        assert variable("DATA") == "/there"
