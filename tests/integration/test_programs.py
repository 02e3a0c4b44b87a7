"""Finding programs in the folders of a path."""

import pytest

from queuectl.programs import Programs, find_program


@pytest.fixture
def folder(tmp_path):
    """Folders `a`, `b` and `c`: the first has a folder called `tool`, the second a text, the third a program."""
    (tmp_path / "a" / "tool").mkdir(parents=True)
    for name, mode in (("b", 0o644), ("c", 0o755)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tool").touch(mode)
    return tmp_path


def path_of(folder, *names):
    return ":".join(str(folder / name) for name in names)


def test_the_first_file_that_can_be_executed_is_the_program(folder):
    path = path_of(folder, "nowhere", "a", "b", "c")

    assert find_program("tool", path) == Programs(path).find("tool") == str(folder / "c" / "tool")


def test_a_name_with_a_slash_is_a_file_as_it_stands():
    assert find_program("./tool", "/bin") == Programs("/bin").find("./tool") == "./tool"


def test_a_program_that_is_nowhere_is_not_found(folder):
    path = path_of(folder, "a", "b")

    assert Programs(path).find("tool") is None
    with pytest.raises(FileNotFoundError):
        find_program("tool", path)


@pytest.mark.parametrize("relative", ["c", "", "."])
def test_what_is_in_a_relative_folder_is_found_from_the_present_folder_only(folder, monkeypatch, relative):
    monkeypatch.chdir(folder / ("." if relative == "c" else "c"))
    path = f"{relative}:{folder}/c"

    assert find_program("tool", path) == f"{relative or '.'}/tool"
    assert Programs(path).find("tool") is None


def test_a_name_that_no_file_can_have_is_nowhere(folder):
    assert Programs(path_of(folder, "c")).find("to\0ol") is None


def test_many_commands_have_their_program_looked_for_once(folder):
    programs = Programs(path_of(folder, "c"))
    found = programs.find("tool")

    (folder / "c" / "tool").unlink()

    assert programs.find("tool") == found
