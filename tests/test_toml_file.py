import time

import pytest

from medcnn.dicom_out import read_codes
from medcnn.errors import DataError, RecipeError
from medcnn.importing.describing import read_description
from medcnn.planning import read_recipe
from medcnn.toml_file import MOST_BYTES, read_toml

READERS = (read_codes, read_recipe, read_description, read_toml)


def test_what_is_toml_is_read(tmp_path):
    file = tmp_path / "a.toml"
    file.write_bytes("[a]\nb = 'ä'\n".encode() + b"#" * (MOST_BYTES - 13))
    assert read_toml(file) == {"a": {"b": "ä"}}


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "# " + "x" * MOST_BYTES,
        "!!python/object/apply:os.system ['touch ran']",
        "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]",
        "a = '\udcff'",
    ],
    ids=["deep", "long", "tag", "aliases", "no UTF-8"],
)
def test_what_is_none_is_refused_at_once_and_runs_nothing(
    tmp_path, monkeypatch, read, text
):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "a.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    started = time.process_time()
    with pytest.raises((DataError, RecipeError), match=r"no TOML|is larger than"):
        read(file)
    assert time.process_time() - started < 1  # whatever else the machine does
    assert [path.name for path in tmp_path.iterdir()] == ["a.toml"]


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        read_toml(tmp_path / "absent.toml")
