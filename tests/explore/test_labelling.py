"""Labels that a person gives: in their file at once, undone, done again, and never lost."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import latentcli as lc
from latentcli.core.labels import UNLABELLED
from latentcli.explore import labelling as labelling_module
from latentcli.explore.labelling import Labelling
from latentcli.explore.serving import exclusive_labels
from latentcli.formats import atomic

HOSTILE = [
    "<script>alert(1)</script>.png", 'quote".png', "new\nline.png", "\u202eright to left.png", "=1+1.png", "a,b.png",
    " spaces .png", "#hash.png", "'apostrophe.png", "scan.tif[3]", "ünïcödé.png", "sub/dir/a.png",
]  # fmt: skip


def image_set(files=None, count=10, labels=None) -> lc.ImageSet:
    files = None if files is None else tuple(files)
    count = count if files is None else len(files)
    return lc.ImageSet(np.zeros((count, 1, 8, 8), np.uint8), labels, files, "photos")


def read_back(images, path) -> list[str]:
    """What ``--labels`` makes of a file."""
    from latentcli.data.labels import with_labels

    return with_labels(images, path).labels.texts.tolist()


def test_each_label_is_in_the_file_at_once(folder):
    images = image_set(["a.png", "b.png", "c.png"])
    labelling = Labelling(images, folder / "labels.csv")
    assert not labelling.path.exists()
    labelling.give(np.array([2, 0]), "cat")
    assert labelling.path.read_text() == "File,Label\na.png,cat\nc.png,cat\n"
    labelling.give(np.array([0]), "dog")
    labelling.give(np.array([2]), None)
    assert labelling.path.read_text() == "File,Label\na.png,dog\n"
    assert labelling.labels.texts.tolist() == ["dog", "", ""]
    assert Labelling(images, labelling.path).labels.texts.tolist() == ["dog", "", ""]


@pytest.mark.parametrize(
    "name", ["<b>cat</b>", "new\nline", '"quoted"', "=SUM(A1)", "\u202ecat", "a, b", "1.0", "Ünïcode"]
)
def test_names_of_files_and_classes_may_be_anything(folder, name):
    images = image_set(HOSTILE)
    labelling = Labelling(images, folder / "labels.csv")
    labelling.give(np.arange(len(HOSTILE)), name)
    labelling.give(np.array([3]), "other")
    again = Labelling(images, labelling.path)
    assert again.labels.texts.tolist() == labelling.labels.texts.tolist() == read_back(images, labelling.path)
    again.give(np.array([5]), "other")
    assert read_back(images, labelling.path) == again.labels.texts.tolist()


def test_classes_keep_their_order(folder):
    """Their keys are theirs also after the file was read again."""
    images = image_set(["a.png", "b.png", "c.png"])
    labelling = Labelling(images, folder / "labels.csv")
    for row, name in enumerate(["zebra", "cat", "dog"]):
        labelling.give(np.array([2 - row]), name)
    assert labelling.path.read_text() == "File,Label\nc.png,zebra\nb.png,cat\na.png,dog\n"
    again = Labelling(images, labelling.path)
    assert again.names == ("zebra", "cat", "dog")
    assert again.labels.texts.tolist() == labelling.labels.texts.tolist() == read_back(images, labelling.path)


@pytest.mark.parametrize("written", ["1.0", "1"])
def test_whole_numbers_are_the_same_class_when_they_are_read_again(folder, written):
    labelling = Labelling(image_set(), folder / "labels.csv")
    for row, name in enumerate([written, "2.0"]):
        labelling.give(np.array([row]), name)
    assert labelling.names == ("1", "2") == Labelling(image_set(), labelling.path).names


def test_names_that_are_no_utf8_are_text_in_the_file(folder):
    """The bytes of such a name are no text: what stands for them in the table is still found to mean that file."""
    images = image_set([os.fsdecode(b"caf\xe9.png"), "b.png"])
    labelling = Labelling(images, folder / "labels.csv")
    labelling.give(np.array([0]), "cat")
    again = Labelling(images, labelling.path)
    assert (again.labels.texts.tolist(), again.notes) == (["cat", ""], [])
    again.give(np.array([1]), "dog")
    assert labelling.path.read_text() == "File,Label\ncaf\\udce9.png,cat\nb.png,dog\n"
    assert not (folder / "labels.before.csv").exists()


def test_images_without_files_are_named_by_their_row(folder):
    images = image_set()
    labelling = Labelling(images, folder / "labels.csv")
    labelling.give(np.array([3, 9]), "cat")
    assert labelling.path.read_text() == "File,Label\n3,cat\n9,cat\n"
    assert read_back(images, labelling.path)[3] == "cat"


@pytest.mark.parametrize(("name", "why"), [
    ("", "needs a name"), ("  ", "needs a name"), ("x" * 201, "needs a name"), ("unknown", "has no label"),
    ("-1", "has no label"), ("NaN", "has no label"), ("[]", "has no label"),
    ("{0}", "would be read as a list of '0'"),
])  # fmt: skip
def test_a_name_that_means_no_class_or_another_is_refused(folder, name, why):
    labelling = Labelling(image_set(), folder / "labels.csv")
    with pytest.raises(lc.UsageError, match=why):
        labelling.give(np.array([1]), name)
    assert labelling.names == ()
    assert not labelling.path.exists()


def test_a_name_that_would_be_read_as_several_is_refused(folder):
    labelling = Labelling(image_set(), folder / "labels.csv", ["cat", "dog"])
    with pytest.raises(lc.UsageError, match="several"):
        labelling.give(np.array([1]), "cat|dog")


def test_what_was_done_is_undone_and_done_again(folder):
    images = image_set()
    labelling = Labelling(images, folder / "labels.csv")
    states = [labelling.codes]
    for rows, name in (([1, 2], "a"), ([2, 3], "b"), ([1], None), ([5], "a")):
        labelling.give(np.array(rows), name)
        states.append(labelling.codes)
    for state in states[-2::-1]:
        assert labelling.undo() is not None
        np.testing.assert_array_equal(labelling.codes, state)
        assert read_back_or_none(images, labelling) == labelling.labels.texts.tolist()
    assert labelling.undo() is None
    for state in states[1:3]:
        assert labelling.redo() is not None
        np.testing.assert_array_equal(labelling.codes, state)
    labelling.give(np.array([7]), "c")
    assert not labelling.can_redo  # what was undone is no future any more


def read_back_or_none(images, labelling):
    return read_back(images, labelling.path) if labelling.labels.any else labelling.labels.texts.tolist()


def test_labels_of_the_images_themselves_are_the_first_ones(folder):
    own = lc.Labels.of(["a", "b", "", ""])
    labelling = Labelling(image_set(count=4, labels=own), folder / "labels.csv", ["c"])
    assert labelling.names == ("a", "b", "c")
    labelling.give(np.array([2]), "c")
    assert labelling.path.read_text() == "File,Label\n0,a\n1,b\n2,c\n"


def test_another_programs_labels_are_taken(folder):
    images = image_set(["a.png", "b.png", "c.png"])
    labelling = Labelling(images, folder / "labels.csv")
    labelling.give(np.array([0]), "cat")
    labelling.path.write_text("File,Label\na.png,cat\nb.png,dog\n")
    assert "1 of its labels were taken" in labelling.synchronise()
    assert labelling.synchronise() is None
    assert labelling.labels.texts.tolist() == ["cat", "dog", ""]
    labelling.undo()
    assert labelling.labels.texts.tolist() == ["cat", "", ""]


def test_what_another_program_is_still_writing_is_left_to_it(folder, monkeypatch):
    """A part of its table is no table: a class would be cut short, and later rows lost in a file that was replaced."""
    clock = [100.0]
    monkeypatch.setattr(labelling_module, "SETTLED", 0.5)
    monkeypatch.setattr(labelling_module.time, "monotonic", lambda: clock[0])
    labelling = Labelling(image_set(["a.png", "b.png", "c.png"]), folder / "labels.csv")
    labelling.give(np.array([2]), "owl")
    with labelling.path.open("w") as file:
        for part in ("File,Label\na.png,c", "at\nb.png", ",dog\n"):
            file.write(part)
            file.flush()
            for _ in range(4):
                assert labelling.synchronise() is None
                clock[0] += 0.1
    clock[0] += 0.2
    assert "2 of its labels were taken" in labelling.synchronise()
    assert labelling.labels.texts.tolist() == ["cat", "dog", "owl"]
    assert labelling.names == ("owl", "cat", "dog")


def test_what_the_reader_has_to_tell_of_a_changed_file_is_told(folder):
    labelling = Labelling(image_set(["a.png", "b.png"]), folder / "labels.csv")
    labelling.give(np.array([0]), "cat")
    labelling.path.write_text("image;label\na.png;cat\nb.png;dog\n")
    assert "is in another form" in labelling.synchronise()


def test_undo_and_redo_are_of_what_was_done_here_while_another_program_changes_the_file(folder):
    images = image_set(["a.png", "b.png", "c.png", "d.png"])
    labelling = Labelling(images, folder / "labels.csv")

    def elsewhere(row: str) -> None:
        labelling.path.write_text(f"{labelling.path.read_text()}{row}\n")

    labelling.give(np.array([0]), "cat")
    elsewhere("b.png,dog")
    labelling.give(np.array([0]), "cow")
    labelling.undo()
    assert labelling.labels.texts.tolist() == ["cat", "dog", "", ""]
    elsewhere("c.png,owl")
    labelling.redo()
    assert labelling.labels.texts.tolist() == ["cow", "dog", "owl", ""]
    assert "of another program" in labelling.undo().told
    elsewhere("d.png,fox")
    assert "1 of its labels were taken" in labelling.synchronise()
    labelling.redo()
    assert labelling.labels.texts.tolist() == ["cow", "dog", "owl", "fox"] == read_back(images, labelling.path)


def test_where_both_labelled_an_image_nothing_is_lost(folder):
    images = image_set(["a.png", "b.png", "c.png"])
    labelling = Labelling(images, folder / "labels.csv")
    labelling.give(np.array([0]), "cat")
    theirs = "File,Label\na.png,fox\nb.png,dog\n"
    labelling.path.write_text(theirs)
    labelling.give(np.array([0]), "cow")  # while the other program gave it another one
    assert labelling.labels.texts.tolist() == ["cow", "dog", ""]
    assert read_back(images, labelling.path) == ["cow", "dog", ""]
    assert (folder / "labels.before.csv").read_text() == theirs
    assert "is kept as" in labelling.notes[0]


def test_a_file_that_was_spoiled_meanwhile_is_kept_apart(folder):
    labelling = Labelling(image_set(["a.png", "b.png"]), folder / "labels.csv")
    labelling.give(np.array([0]), "cat")
    labelling.path.write_bytes(b"\0\1\2 no table")
    labelling.give(np.array([1]), "dog")
    assert labelling.path.read_text() == "File,Label\na.png,cat\nb.png,dog\n"
    assert (folder / "labels.before.csv").read_bytes() == b"\0\1\2 no table"


def test_a_file_that_was_removed_is_written_again(folder):
    labelling = Labelling(image_set(["a.png", "b.png"]), folder / "labels.csv")
    labelling.give(np.array([0]), "cat")
    labelling.path.unlink()
    labelling.give(np.array([1]), "dog")
    assert labelling.path.read_text() == "File,Label\na.png,cat\nb.png,dog\n"


def test_rows_that_name_no_image_stay(folder):
    (folder / "labels.csv").write_text("File,Label\nelsewhere.png,owl\na.png,cat\n")
    labelling = Labelling(image_set(["a.png", "b.png"]), folder / "labels.csv")
    labelling.give(np.array([1]), "dog")
    assert labelling.path.read_text() == "File,Label\na.png,cat\nb.png,dog\nelsewhere.png,owl\n"
    assert not (folder / "labels.before.csv").exists()
    with pytest.raises(lc.DataError, match="name no image"):
        Labelling(image_set(["a.png", "b.png"]), folder / "labels.csv", strict=True)


@pytest.mark.parametrize("table", ["filename;class;sex\na;cat;f\nb;dog;m\n", "file,label\nphotos/a.png,cat\nb,dog\n"])
def test_a_table_of_another_form_is_kept_as_it_was(folder, table):
    (folder / "labels.csv").write_text(table)
    images = image_set(["a.png", "b.png", "c.png"])
    labelling = Labelling(images, folder / "labels.csv")
    assert labelling.labels.texts.tolist() == ["cat", "dog", ""]
    assert any("is kept as it was in" in note for note in labelling.notes)
    labelling.give(np.array([2]), "cat")
    assert labelling.path.read_text() == "File,Label\na.png,cat\nc.png,cat\nb.png,dog\n"
    assert (folder / "labels.before.csv").read_text() == table


def test_a_table_that_tells_parts_is_refused(folder):
    table = "File,Label,split\na.png,cat,train\nb.png,dog,test\n"
    (folder / "labels.csv").write_text(table)
    with pytest.raises(lc.DataError, match="parts"):
        Labelling(image_set(["a.png", "b.png"]), folder / "labels.csv")
    assert (folder / "labels.csv").read_text() == table


def test_labels_of_other_images_are_refused(folder):
    (folder / "labels.csv").write_text("File,Label\nelsewhere.png,owl\n")
    with pytest.raises(lc.DataError, match="name no image"):
        Labelling(image_set(["a.png"]), folder / "labels.csv")
    assert (folder / "labels.csv").read_text() == "File,Label\nelsewhere.png,owl\n"


def test_a_full_disk_loses_nothing(folder, monkeypatch):
    labelling = Labelling(image_set(["a.png", "b.png"]), folder / "labels.csv")
    labelling.give(np.array([0]), "cat")

    def full(descriptor):
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "fsync", full)
        labelling.give(np.array([1]), "dog")
    assert "No space left" in labelling.unwritten
    assert labelling.path.read_text() == "File,Label\na.png,cat\n"
    assert labelling.labels.texts.tolist() == ["cat", "dog"]
    assert not labelling.is_written
    labelling.save()
    assert labelling.is_written
    assert labelling.path.read_text() == "File,Label\na.png,cat\nb.png,dog\n"


def test_a_change_that_cannot_be_kept_apart_is_no_reason_to_overwrite_it(folder, monkeypatch):
    """The disk is full when both labelled an image: neither the labels here nor those there are lost."""
    labelling = Labelling(image_set(["a.png", "b.png"]), folder / "labels.csv")
    labelling.give(np.array([0]), "cat")
    theirs = "File,Label\na.png,fox\n"

    def full(descriptor):
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr(atomic.os, "fsync", full)
        labelling.path.write_text(theirs)
        labelling.give(np.array([0]), "cow")
        assert "No space left" in labelling.unwritten
        assert labelling.synchronise() is None  # once is enough
        assert labelling.path.read_text() == theirs
    labelling.give(np.array([1]), "dog")
    assert labelling.path.read_text() == "File,Label\na.png,cow\nb.png,dog\n"
    assert (folder / "labels.before.csv").read_text() == theirs
    assert labelling.is_written


def test_a_change_that_cannot_be_read_now_is_not_overwritten(folder, monkeypatch):
    labelling = Labelling(image_set(["a.png", "b.png"]), folder / "labels.csv")
    labelling.give(np.array([0]), "cat")
    labelling.path.write_text("File,Label\na.png,cat\nb.png,dog\n")
    with monkeypatch.context() as patch:
        patch.setattr(labelling_module, "_content", lambda path: None)
        assert "cannot be read now" in labelling.synchronise()
        labelling.give(np.array([0]), "cow")
    assert labelling.path.read_text() == "File,Label\na.png,cat\nb.png,dog\n"
    assert not labelling.is_written
    labelling.save()
    assert labelling.path.read_text() == "File,Label\na.png,cow\nb.png,dog\n"


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_bytes(b"\0\1 no table")])
def test_labels_whose_file_is_gone_are_known_to_be_unwritten(folder, spoil):
    labelling = Labelling(image_set(["a.png", "b.png"]), folder / "labels.csv")
    assert labelling.is_written
    labelling.give(np.array([0]), "cat")
    assert labelling.is_written
    spoil(labelling.path)
    labelling.synchronise()
    assert not labelling.is_written


def test_a_second_run_on_the_same_labels_is_refused(folder):
    script = (
        "import sys, pathlib; from latentcli.explore.serving import exclusive_labels\n"
        "with exclusive_labels(pathlib.Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(folder / "labels.csv")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        held = exclusive_labels(folder / "labels.csv")
        with pytest.raises(lc.OutputError, match="another run labels into") as refused, held:
            pass
        assert f"process {other.pid}" in str(refused.value)
        other.stdin.close()
    with exclusive_labels(folder / "labels.csv"):  # it ends with the process
        pass


def test_readers_never_see_a_part_of_the_file(folder):
    """However often it is written: each time whole."""
    images = image_set([f"{row}.png" for row in range(300)])
    labelling = Labelling(images, folder / "labels.csv")
    labelling.give(np.arange(300), "cat")
    stop, seen = threading.Event(), set()

    def read() -> None:
        while not stop.is_set():
            seen.add(labelling.path.read_text().count("\n"))

    reader = threading.Thread(target=read)
    reader.start()
    for name in ("dog", "cat") * 10:
        labelling.give(np.arange(300), name)
    stop.set()
    reader.join()
    assert seen == {301}
    assert (labelling.codes != UNLABELLED).all()


def test_labels_that_an_older_copy_of_the_file_lacks_stay_and_are_put_back(digits, tmp_path):
    labelling = Labelling(digits, tmp_path / "labels.csv")
    labelling.give(np.array([0, 1]), "one")
    older = labelling.path.read_bytes()
    labelling.give(np.array([2]), "two")
    labelling.path.write_bytes(older + b"3,three\n")
    told = labelling.synchronise()
    assert "1 of its labels were taken" in told
    assert "1 that it lacks stay" in told
    assert labelling.path.read_bytes() == older + b"3,three\n"  # the other program may still be writing it
    assert not labelling.is_written
    labelling.save()
    again = Labelling(digits, labelling.path)
    assert [again.labels.texts[row] for row in range(4)] == ["one", "one", "two", "three"]
