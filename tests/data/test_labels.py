"""Labels beside the images."""

import io
import json
import re
import zipfile
from contextlib import nullcontext

import numpy as np
import pytest

from latentcli.artifacts.tables import write_labels, write_predictions
from latentcli.core.errors import DataError, UsageError
from latentcli.core.labels import UNLABELLED
from latentcli.data import ImageSet, Labels, load, splits
from latentcli.data.labels import with_labels
from latentcli.inference.classification import Predictions


def images(count, **known):
    return ImageSet(np.zeros((count, 1, 8, 8), dtype=np.uint8), name="set", **known)


def written(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "labels.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    "cells", ["['cat'] [\"dog\"] []", "('cat',) {'dog'} ()", '["cat"] dog unknown', "cat ['dog'] ['']"]
)
def test_lists_of_one_label_are_that_label(tmp_path, cells):
    rows = "".join(f"{row};{cell}\n" for row, cell in enumerate(cells.split()))
    found = with_labels(images(3), written(tmp_path, f"id;label\n{rows}"))
    assert found.labels.texts.tolist() == ["cat", "dog", ""]
    assert "lists of one are read without brackets" in found.notes[0]


def zipped(name):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, "File,Label\n0,a\n")
    return packed.getvalue()


def test_rows_of_arrays_are_named_by_number(tmp_path):
    found = with_labels(images(4), written(tmp_path, "File,Label\n3,cat\n0,ant\n"))
    assert found.class_names == ("ant", "cat")
    assert found.labels.codes.tolist() == [0, UNLABELLED, UNLABELLED, 1]
    assert found.labels.codes.dtype == np.int64


def test_files_of_folders_are_named_by_path(tmp_path):
    known = images(3, files=("a/1.png", "b, c.png", "-x\n.png"), bad_files=(("bad.png", "damaged"),))
    found = with_labels(known, written(tmp_path, 'File,Label\n"b, c.png",10\na/1.png,9\n"-x\n.png",10\nbad.png,9\n'))
    assert found.class_names == ("9", "10")
    assert found.labels.codes.tolist() == [0, 1, 1]


def test_labels_of_the_source_are_replaced(tmp_path):
    known = images(2, labels=Labels(np.array([0, 1]), ("x", "y")))
    found = with_labels(known, written(tmp_path, "File,Label\n1,z\n"))
    assert (found.class_names, found.labels.codes.tolist()) == (("z",), [UNLABELLED, 0])


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("folder,file,label\na,1.png,x\nb,1.png,y\n", "took 'folder' and 'file' together"),
        ("label;Dir;File_Name\nx;.\\a\\;1\ny;b/;1\n", "took 'Dir' and 'File_Name' together"),
        ("filename,path,label\n1.png,set/a,x\n1.png,set/b,y\n", "took 'path' and 'filename' together"),
        (
            "root,folder,subfolder,image,class\nr,,a,1.png,x\nr,b,,1.png,y\n",
            "took 'folder' and 'subfolder' and 'image'",
        ),
        ("path,filename,label\na/1.png,1.png,x\nb/1.png,1.png,y\n", "together"),
        ("folder,file,label\na,a/1.png,x\n,b/1.png,y\n", "together"),
        ("directory,file,label\nold,a/1.png,x\nold,b/1.png,y\n", "together"),
        ("directory,file,label\nx,a/1.png,x\ny,b/1.png,y\n", None),
    ],
)
def test_columns_that_are_the_path_together_are_read_so(tmp_path, table, told):
    known = images(3, files=("a/1.png", "b/1.png", "c/2.png"))
    found = with_labels(known, written(tmp_path, table))
    assert found.labels.texts.tolist() == ["x", "y", ""]
    assert not found.notes if told is None else told in " ".join(found.notes)


def test_rows_too_short_to_have_a_folder_or_a_file_are_passed_over_where_they_are_blank(tmp_path):
    known, table = images(2, files=("a/1.png", "b/1.png")), "folder,file,label\na,1.png,x\n\n# y\nb,1.png,y\n"
    assert with_labels(known, written(tmp_path, table)).labels.texts.tolist() == ["x", "y"]
    with pytest.raises(DataError, match=r"row 4 of labels\.csv lacks a file or the cell of its label\n  found 'y'"):
        with_labels(known, written(tmp_path, table.replace("# y", "y")))


def test_a_name_that_several_files_have_is_refused(tmp_path):
    told = r"row 3 .* labels '1\.png', which may be more than one file of set\n  found 'a/1\.png' and 'b/1\.png'\n"
    with pytest.raises(DataError, match=told):
        with_labels(
            images(3, files=("2.png", "a/1.png", "b/1.png")), written(tmp_path, "File,Label\n2.png,y\n1.png,x\n")
        )


def test_a_name_that_no_file_of_any_part_has_is_counted_as_such(tmp_path):
    known = images(
        2, files=("train/0.png", "train/1.png"), parts=("train", "test"), elsewhere={"test": ("test/2.png",)}
    )
    found = with_labels(known, written(tmp_path, "File,Label\n0.png,x\n2.png,y\n7.png,z\n"))
    assert found.labels.texts.tolist() == ["x", ""]
    told = " ".join(found.notes)
    assert "1 names of other parts of set were left out" in told
    assert "1 of 3 rows of labels.csv name no image of set and were left out, such as '7.png' in row 4" in told


def test_blank_lines_behind_labels_alone_are_no_labels(tmp_path):
    assert with_labels(images(2), written(tmp_path, "Label\ncat\ndog\n\n\n")).labels.texts.tolist() == ["cat", "dog"]
    assert with_labels(images(3), written(tmp_path, "Label\ncat\n\ndog\n\n")).labels.texts.tolist() == [
        "cat",
        "",
        "dog",
    ]
    with pytest.raises(DataError, match=r"not as many as there are images\n  expected 1, .* found 2"):
        with_labels(images(1), written(tmp_path, "Label\ncat\ndog\n\n"))


@pytest.mark.parametrize(
    ("table", "row"),
    [
        ("file,label\na,b.png,cat\n", '"a,b.png",cat'), ("label;file\ncat;a;b.png\n", 'cat;"a;b.png"'),
        ("id\tfile\tclass\n0\ta\tb\tc.png\tcat\n", '0\t"a\tb\tc.png"\tcat'),
    ],
)  # fmt: skip
def test_a_row_whose_path_is_in_too_many_cells_is_shown_as_it_is_to_be_written(tmp_path, table, row):
    files = ("a,b.png", "a;b.png", "a\tb\tc.png")
    with pytest.raises(DataError, match="too many cells") as caught:
        with_labels(images(3, files=files), written(tmp_path, table))
    assert str(caught.value.remedy).endswith(f"double quotes around that cell: {row}")
    header, _, _ = table.partition("\n")
    assert with_labels(images(3, files=files), written(tmp_path, f"{header}\n{row}\n")).labels.any


@pytest.mark.parametrize(
    "table",
    [
        "file,cat,dog\na.png,0.9,0.1\nb.png,0.2,0.8\n", "# of a CNN\nid; cat ; dog; fox\n\na;70;20;10\nb;1;98.5;0.5\n",
        "cat\tdog\tpath\n0.501\t0.5\tset/a.png\n0\t1.0\tset/b.png\n",
    ],
)  # fmt: skip
def test_soft_labels_in_a_table_are_refused_with_the_python_that_takes_the_likeliest(tmp_path, table):
    known = images(2, files=("a.png", "b.png"))
    with pytest.raises(DataError, match="holds soft labels") as caught:
        with_labels(known, written(tmp_path, table))
    exec(caught.value.remedy.split("labels_likeliest.csv: ")[1], {})
    assert with_labels(known, tmp_path / "labels_likeliest.csv").labels.texts.tolist() == ["cat", "dog"]


@pytest.mark.parametrize(
    ("table", "row", "label"),
    [
        ("file,label\n1.png,a, b\n", '1.png,"a, b"', "a, b"), ("file,label\n1.png,1,000\n", '1.png,"1,000"', "1,000"),
        ("class;file\nx;y;z;2.PNG\n", '"x;y;z";2.PNG', "x;y;z"), ("id,label\n0002,a,b\n", '0002,"a,b"', "a,b"),
    ],
)  # fmt: skip
def test_a_row_whose_label_is_in_too_many_cells_is_shown_with_quotes_around_it(tmp_path, table, row, label):
    files = ("a/1.png", "a/2.png", "0002.png")
    with pytest.raises(DataError, match="too many cells") as caught:
        with_labels(images(3, files=files), written(tmp_path, table))
    assert str(caught.value.remedy).endswith(f"double quotes around that cell: {row}")
    header, _, _ = table.partition("\n")
    found = with_labels(images(3, files=files), written(tmp_path, f"{header}\n{row}\n"))
    assert found.class_names == (label,)
    with pytest.raises(DataError) as caught:
        with_labels(images(3, files=files), written(tmp_path, "file,label,note\n1.png,x,y, z\n"))
    assert str(caught.value.remedy).endswith("around that cell")  # which of two, nobody can tell


def test_soft_labels_in_json_are_refused_with_the_table_to_write(tmp_path):
    rows = [{"file": "a.png", "cat": 0.9, "dog": 0.1}, {"file": "b.png", "cat": 0.2, "dog": 0.8}]
    (tmp_path / "labels.json").write_text(json.dumps(rows))
    told = r"labels\.json holds soft labels\n.*numbers of cat, dog .*\n  write the likeliest class .* table File,Label$"
    with pytest.raises(DataError, match=told):
        with_labels(images(2, files=("a.png", "b.png")), tmp_path / "labels.json")


@pytest.mark.parametrize("rows", ["0,1,0\n1,x,0\n", "0,1,0\n1,2,0\n", "0,1,0\n1,1\n", "0,7,3\n1,,1\n"])
def test_columns_of_other_than_0_and_1_are_no_classes(tmp_path, rows):
    with pytest.raises(DataError, match=r"row 1 .* not the header of a labels file(.|\n)*found 'file', 'cat', 'dog'"):
        with_labels(images(2), written(tmp_path, f"file,cat,dog\n{rows}"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_text_of_any_alphabet_other_columns_and_line_ends(tmp_path, encoding):
    text = "note,LABEL, file\r\n,=cmd(),0\r\n\r\nseen,größe,1\r\n"
    found = with_labels(images(2), written(tmp_path, text, encoding))
    assert found.class_names == ("=cmd()", "größe")


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ("0,a\n7,b\n", r"row 3 .* labels '7', which set does not have"),
        ("0,a\n-1,b\n", r"row 3 .* labels '-1'"),
        ("0,a\nx.png,b\n", r"row 3 .* labels 'x.png'"),
        ("0,a\n1,b\n00,b\n", r"row 4 .* labels '00' again\n.*row 2"),
        ("0,a\n1\n", "row 3 .* lacks"),
        (",a\n", "row 2 .* lacks"),
        ('0,a\n"1,b\n', "row 3 .* not CSV"),
        ("²,a\n", "row 2"),
        ("9" * 5000 + ",a\n", "row 2"),
    ],
)
def test_wrong_rows_are_named(tmp_path, rows, complaint):
    with pytest.raises(DataError, match=complaint):
        with_labels(images(2), written(tmp_path, "File,Label\n" + rows))


@pytest.mark.parametrize(
    "text", ["", "0,a\n", "File\n0\n", "Colour,Size,Label\n0,a,b\n", "File,Label,Label\n0,a,b\n", "\n"]
)
def test_a_header_is_required(tmp_path, text):
    with pytest.raises(DataError, match=r"row 1 .* not the header"):
        with_labels(images(2), written(tmp_path, text))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"PK\x03\x04" + bytes(50), "workbook"), (zipped("labels.csv"), "an archive\n  unpack it"),
        (zipped("[Content_Types].xml"), "workbook"),
        (b'File,Label\n"a.png,1\nb.png,2\n', "row 2 .* not CSV.*\n.*none behind it"),
        (b'File,Label\n"a"b.png,1\n', "row 2 .* not CSV.*\n.*written twice"),
        (b"\xff\xfeF", "not utf-16 text"), (b"File,La\0bel\n", "null"),
        (b'"File,Label\n0,a\n', "row 1 .* not CSV"),
    ],
)  # fmt: skip
def test_what_is_no_table_is_refused(tmp_path, content, complaint):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        with_labels(images(2), tmp_path / "labels.csv")


@pytest.mark.parametrize(
    "text",
    [
        '"File" , "Label"\n"0" , "a, b"\n"1", "say ""hi"" , you" \n',
        ' "File";"Label"  \r\n "0" ;"a, b"\r\n "1";"say ""hi"" , you"',
        '"File"\t"Label"\n"0"\t"a, b"\n"1"\t"say ""hi"" , you"\n',
    ],
)
def test_blanks_around_quotes_are_no_part_of_cells(tmp_path, text):
    found = with_labels(images(2), written(tmp_path, text))
    assert found.labels.texts.tolist() == ["a, b", 'say "hi" , you']
    with pytest.raises(DataError, match=r"begin it with the line File.+Label"):
        with_labels(images(2), written(tmp_path, text.split("\n", 1)[1]))


@pytest.mark.parametrize(
    ("numbers", "files"),
    [(range(1, 25), "{:04}"), (range(24), "IMG_{}"), (range(2, 26), "photo{}"), (range(100, 124), "{}")],
)
def test_numbers_of_rows_for_files_are_refused(tmp_path, numbers, files):
    known = images(24, files=tuple(f"{files.format(row)}.png" for row in [1, *range(900, 923)]))
    table = written(tmp_path, "id,label\n" + "".join(f"{number},{number % 2}\n" for number in numbers))
    with pytest.raises(DataError, match=r"numbers its rows.*\n.*\n.*Label alone"):
        with_labels(known, table)
    apart = written(tmp_path, "id,label\n3000,0\n4000,1\n")
    with pytest.raises(DataError, match=r"2 of 2 rows of labels\.csv name no image of set\n  found '3000' in row 2"):
        with_labels(known, apart)
    some = written(tmp_path, "id,label\n" + "".join(f"{number},{number % 2}\n" for number in range(900, 930)))
    if files == "{}":
        assert with_labels(known, some).labels.known.sum() == 23


@pytest.mark.parametrize("encoding", ["cp932", "gbk", "cp1251"])
def test_letters_that_may_be_of_another_encoding_are_shown(tmp_path, encoding):
    text = "File,Label\n0,{}\n".format({"cp932": "\u732b", "gbk": "\u72d7", "cp1251": "\u043a\u043e\u0442"}[encoding])
    (note,) = with_labels(images(1), written(tmp_path, text, encoding)).notes
    assert re.search(r"read as Windows-1252, such as '.+'; if that is wrong, save it as UTF-8", note)


def test_a_file_of_latentcli_is_no_table_of_labels(tmp_path):
    np.savez("graph.npz", points=1, probabilities=2)
    (tmp_path / "graph.npz").rename("graph.csv")
    with pytest.raises(UsageError, match=r"graph.csv is a graph, and stands where labels belong"):
        with_labels(images(2), tmp_path / "graph.csv")


def test_unreadable_files_of_labels(tmp_path):
    for path in (tmp_path, tmp_path / "none.csv"):
        with pytest.raises(DataError, match="cannot read the table"):
            with_labels(images(2), path)


PHOTOS = ("day 1/001.png", "day 1/002.png", "day 2/010.png", "day 2/Café.jpeg", "x.PNG")
TURN = "'day 1/001.png' to 'day 1/002.png'"
TWO = {"day 1/002.png": "cat", "day 2/010.png": "dog"}


def labelled(found):
    return {file: text for file, text in zip(found.files, found.labels.texts, strict=True) if text}


@pytest.mark.parametrize(
    "header",
    ["filename,class", "Image_ID,Category", "id,target", "PATH,label", "image name,Class-Name", ",Label",
     "File,Predicted_Label", "photo,label", "file,breed"],
)  # fmt: skip
def test_headers_of_any_program(tmp_path, header):
    text = f"{header}\nday 1/002.png,cat\nday 2/010.png,dog\n"
    assert labelled(with_labels(images(5, files=PHOTOS), written(tmp_path, text))) == TWO


ODD_NAMES = ("{0}", "['x']", " leading", "trailing ", "\t=1", "1.0", "2", "a|b", "a", "b", "[2, 3]", "\u2028line")


@pytest.mark.parametrize("files", [None, tuple(f"{row}.png" for row in range(len(ODD_NAMES)))], ids=["rows", "files"])
def test_names_of_classes_stand_in_tables_of_predictions_as_they_are(tmp_path, files):
    """Tables of other programs hold what people meant: lists of one label, blanks, fractions that are whole numbers."""
    labels = Labels.of(ODD_NAMES)
    found = Predictions(labels, np.eye(len(labels.names))[labels.codes], Labels.none(len(ODD_NAMES)), files=files)
    write_predictions(found, tmp_path / "vae.csv")
    again = with_labels(images(len(ODD_NAMES), files=files), tmp_path / "vae.csv")
    assert again.labels.texts.tolist() == [*ODD_NAMES]
    assert again.notes == ()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"])
def test_separators_line_ends_and_encodings(tmp_path, separator, end, encoding):
    rows = (("note", "File", "Label"), ("a, b", "day 1/002.png", "Größe"), ("", "day 2/010.png", "x;y"))
    quoted = [separator.join(f'"{cell}"' if set(cell) & set(",;") else cell for cell in row) for row in rows]
    found = with_labels(images(5, files=PHOTOS), written(tmp_path, "".join(row + end for row in quoted), encoding))
    assert labelled(found) == {"day 1/002.png": "Größe", "day 2/010.png": "x;y"}
    assert bool(found.notes) == (encoding == "latin-1")


@pytest.mark.parametrize(
    "text",
    [
        "sep=;\nFile;Label\nday 1/002.png;cat\nday 2/010.png;dog\n",
        "# by me\n#\nFile,Label\nday 1/002.png,cat\n# x.PNG,dog\nday 2/010.png,dog\n# the end\n",
        "# File,Label\nday 1/002.png,cat\nday 2/010.png,dog\n",
        'File, Label\n"day 1/002.png", "cat"\n"day 2/010.png", "dog"\n',
        ",File,Label,confidence\n0,day 1/002.png,cat,0.9\n1,day 2/010.png,dog,\n,,,\n",
        "File,Label\nday 1/002.png, cat \nday 2/010.png,dog\u00a0\nx.PNG,\n,\n\nday 1/002.png,cat\n",
        "File,Label\r\nday 1/002.png,cat\r\nday 2/010.png,dog\r\n\x1a",
    ],
    ids=["sep", "comments", "header in a comment", "spaces before quotes", "more columns", "blanks", "end of DOS"],
)
def test_what_stands_around_labels(tmp_path, text):
    assert labelled(with_labels(images(5, files=PHOTOS), written(tmp_path, text))) == TWO


def test_of_several_columns_the_likeliest_is_taken_and_told(tmp_path):
    table = written(tmp_path, "id,filename,class,label\n1,x.PNG,animal,cat\n")
    found = with_labels(images(5, files=PHOTOS), table)
    assert labelled(found) == {"x.PNG": "cat"}
    assert "'label', not of 'class'" in found.notes[0]


def test_the_products_own_table_is_taken(tmp_path):
    folder = images(3, files=("a.png", "-b.png", "c.png"), bad_files=(("bad.png", "damaged"),))
    write_labels(tmp_path / "folder.csv", ["=1", "", "x"], files=folder.files, probabilities=np.ones(3),
                 bad_files=folder.bad_files)  # fmt: skip
    assert with_labels(folder, tmp_path / "folder.csv").labels.texts.tolist() == ["=1", "", "x"]
    write_labels(tmp_path / "rows.csv", ["x", "", "=1", ""])
    found = with_labels(images(4), tmp_path / "rows.csv")
    assert found.labels.texts.tolist() == ["x", "", "=1", ""]
    assert found.notes == ("rows.csv: 2 of 4 labels mean no label: empty (2)",)
    with pytest.raises(DataError, match=r"expected 3, .* found 4"):
        with_labels(images(3), tmp_path / "rows.csv")


def test_rows_that_name_no_file_are_counted_or_refused(tmp_path):
    table = written(tmp_path, "File,Label\nx.PNG,cat\ngone.png,cat\nold/gone.png,dog\n")
    found = with_labels(images(5, files=PHOTOS), table)
    assert labelled(found) == {"x.PNG": "cat"}
    assert "2 of 3 rows of labels.csv name no image of set" in found.notes[0]
    assert "'gone.png' in row 3" in found.notes[0]
    with pytest.raises(DataError, match=r"2 of 3 rows(.|\n)*such as 'day 1/001.png'"):
        with_labels(images(5, files=PHOTOS), table, strict=True)
    none = written(tmp_path, "File,Label\ngone.png,cat\n")
    with pytest.raises(DataError, match=r"1 of 1 rows(.|\n)*such as 'day 1/001.png'"):
        with_labels(images(5, files=PHOTOS), none)


def test_rows_counted_from_one_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"rows from 1(.|\n)*subtract 1"):
        with_labels(images(3), written(tmp_path, "File,Label\n1,a\n2,b\n3,a\n"))


@pytest.mark.parametrize("numbers", ["0.0 2.0 3.0", "00 02 03", " 0 2 3 "])
def test_row_numbers_as_spreadsheets_write_them(tmp_path, numbers):
    rows = "".join(f"{number},1.0\n" for number in numbers.split())
    found = with_labels(images(4), written(tmp_path, f"id,label\n{rows}"))
    assert found.labels.texts.tolist() == ["1", "", "1", "1"]
    assert "whole numbers" in found.notes[0]


def test_classes_that_differ_in_case_alone_are_told(tmp_path):
    found = with_labels(images(3), written(tmp_path, "File,Label\n0,Cat\n1,cat\n2,dog\n"))
    assert found.class_names == ("Cat", "cat", "dog")
    assert "'Cat', 'cat'" in found.notes[0]


@pytest.mark.parametrize("values", ["0 1", "0.0 1.0"])
@pytest.mark.parametrize("separator", [",", ";"])
def test_a_column_for_each_class_is_read_as_labels(tmp_path, values, separator):
    zero, one = values.split()
    rows = (("image", "cat", "dog", "cow"), ("0", zero, one, zero), ("2", one, zero, zero), ("1", zero, one, zero))
    found = with_labels(images(4), written(tmp_path, "".join(separator.join(row) + "\n" for row in rows)))
    assert found.labels.texts.tolist() == ["dog", "dog", "cat", ""]
    assert "cat, dog, cow are classes" in found.notes[0]


@pytest.mark.parametrize(("row", "ones"), [("1,1,1,0", "cat, dog"), ("1,0,0,0", "none")])
def test_several_classes_or_none_in_the_columns_of_a_row_are_refused(tmp_path, row, ones):
    with pytest.raises(DataError, match=rf"row 3 .*\n.*found {ones} for '1'\n.*File,Label"):
        with_labels(images(2), written(tmp_path, f"image,cat,dog,cow\n0,0,0,1\n{row}\n"))


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("photo;kind\nx;cat\n", "call the columns .* File;Label"),
        ("a.png;cat\n", "begin it with the line File.+Label"),
        ("a,b,c\nx.PNG,1,cat\n", "call the columns .* File,Label"),
        ("img_0.png 0\nimg_1.png 1\n", "commas between the cells"),
        ("File,Label\n0,cat,dog\n", "quotes"),
    ],
)
def test_a_table_that_is_not_understood_is_refused_with_the_way_on_that_fits_it(tmp_path, text, remedy):
    with pytest.raises(DataError, match=remedy):
        with_labels(images(5, files=PHOTOS) if "0,cat" not in text else images(2), written(tmp_path, text))


@pytest.mark.parametrize(("name", "way"), [("labels.csv.gz", "gunzip"), ("labels.npz", "numpy.save")])
def test_what_is_easily_made_a_table_is_refused_with_the_call_that_does_it(tmp_path, name, way):
    with pytest.raises(DataError, match=way):
        with_labels(images(2), tmp_path / name)


@pytest.mark.parametrize("rows", ["0,cat\n0,\n0,cat\n", "0,\n0,cat\n"])
def test_a_blank_label_contradicts_none(tmp_path, rows):
    assert with_labels(images(1), written(tmp_path, f"File,Label\n{rows}")).labels.texts.tolist() == ["cat"]


@pytest.mark.parametrize(
    ("table", "expected", "told"),
    [
        ("file,category_id,category_name\n0,3,cat\n1,5,dog\n2,3,cat\n", "cat dog cat", "'category_name', not of 'cat"),
        ("row;label;Category Name\n0;1.0;cat\n1;2.0;dog\n2;;\n", "cat dog ", "'Category Name', not of 'label'"),
        ("file,class_id,label\n0,1,cat\n1,2,dog\n", "cat dog ", "'label', not of 'class_id'"),
        ("file,label,category\n0,1,pet\n1,2,pet\n", "1 2 ", "'label', not of 'category'"),
        ("file,label,category\n0,1,pet\n1,2,\n", "1 2 ", "'label', not of 'category'"),
        ("file,label,class\n0,cat,pet\n1,cow,farm\n", "cat cow ", "'label', not of 'class'"),
    ],
)
def test_of_columns_of_labels_names_go_before_the_numbers_that_they_name(tmp_path, table, expected, told):
    found = with_labels(images(3), written(tmp_path, table))
    assert found.labels.texts.tolist() == expected.split(" ")
    assert told in " ".join(found.notes)


@pytest.mark.parametrize(
    ("cells", "several"),
    [
        ("cat dog cat|dog", "'cat|dog', and 'cat' and 'dog' alone elsewhere"), ("dog dog;fox fox", "'dog;fox'"),
        ("1 2 1,2", "'1,2'"), ("a b ['a','b']", "a list of 2"), ("b/a b a", "'b/a'"), ("a b ('c',1)", "a list of 2"),
    ],
)  # fmt: skip
def test_several_labels_in_a_cell_are_refused(tmp_path, cells, several):
    rows = [f'{row}\t"{cell}"' for row, cell in enumerate(cells.split())]
    with pytest.raises(DataError, match="several labels in 1 of 3 cells") as caught:
        with_labels(images(3), written(tmp_path, "\n".join(["File\tLabel", *rows, ""])))
    assert several in str(caught.value)


@pytest.mark.parametrize(
    ("cells", "several", "first"),
    [
        ("cat dog cat|dog", "'cat|dog', and 'cat' and 'dog' alone elsewhere", "cat dog cat"),
        ("dog dog;fox fox", "'dog;fox'", "dog dog fox"),
        ("1 2 1,2", "'1,2'", "1 2 1"), ("b/a b a", "'b/a'", "b b a"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("beside", [True, False])
def test_several_labels_in_an_entry_of_an_array_are_refused_with_what_takes_the_first(
    tmp_path, cells, several, first, beside
):
    def read(labels):
        np.savez("set.npz", data=images(3).images[:, 0], **({} if beside else {"labels": labels}))
        np.save("labels.npy", labels)
        return load("set.npz", labels="labels.npy" if beside else None)

    with pytest.raises(DataError, match="several labels in 1 of 3 entries") as caught:
        read(np.array(cells.split()))
    assert several in str(caught.value)
    line = str(caught.value.remedy).partition("the first: ")[2].partition("; if")[0]
    assert read(np.array(eval(line, {"labels": cells.split()}))).labels.texts.tolist() == first.split()


@pytest.mark.parametrize(
    ("labels", "names", "refused"),
    [("cat dog;fox cat", "cat dog fox", True), ("cat dog;fox cat", "cat dog;fox", False), ("a b/c a", "a b c", True)],
)
def test_names_of_classes_are_one_label_each(tmp_path, labels, names, refused):
    arrays = {"labels": np.array(labels.split()), "class_names": np.array(names.split())}
    np.savez("set.npz", data=images(3).images[:, 0], **arrays)
    with pytest.raises(DataError, match="several labels in 1 of 3 entries") if refused else nullcontext():
        assert load("set.npz").labels.texts.tolist() == labels.split()


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ("a|b a c|b", True),
        ("a;b b;c c;a", True),
        ("x;y z w", False),
        ("km/h mph m/s", False),
        ("a;b a;b a;b", True),
        ("a|1 b|2 c|3", True),
        ("(a) [b] {c}", False),
    ],
)
def test_what_may_be_several_labels_in_a_cell_is_told(tmp_path, cells, told):
    rows = [f'{row}\t"{cell}"' for row, cell in enumerate(cells.split())]
    found = with_labels(images(3), written(tmp_path, "\n".join(["File\tLabel", *rows, ""])))
    assert found.labels.texts.tolist() == cells.split()
    assert ("may be several labels" in " ".join(found.notes)) == told


@pytest.mark.parametrize(
    ("files", "text", "line", "expected"),
    [
        (None, "cat\ndog\ncat\n", "Label", "cat dog cat"), (None, "1\n0\n1\n", "Label", "1 0 1"),
        (None, "3,0\n5,2\n3,1\n", "Label,File", "3 3 5"), (None, "0;cat\n2;dog\n", "File;Label", "cat  dog"),
        ("a.png b.png c", "cat,a.png\ndog,C\n", "Label,File", "cat  dog"),
        ("a.png b.png c", "./b;cat\nc;dog\n", "File;Label", " cat dog"),
        ("a.png b.png c", "7\ta\tcat\n8\tc\tdog\n", "column0\tFile\tLabel", "cat  dog"),
    ],
)  # fmt: skip
def test_the_header_that_a_table_without_one_is_to_have_fits_its_columns(tmp_path, files, text, line, expected):
    known = images(3, files=None if files is None else tuple(files.split()))
    with pytest.raises(DataError) as caught:
        with_labels(known, written(tmp_path, text))
    told = str(caught.value.remedy).partition("begin it with the line ")[2].partition(" (")[0]
    assert told == line
    assert with_labels(known, written(tmp_path, f"{told}\n{text}")).labels.texts.tolist() == expected.split(" ")


@pytest.mark.parametrize("text", ["a.png\nb.png\n", "File\na.png\n", "filename\nb\n"])
def test_a_table_of_files_alone_is_told_to_have_no_labels(tmp_path, text):
    with pytest.raises(DataError, match="it has no labels: write the label of each image behind it"):
        with_labels(images(2, files=("a.png", "b.png")), written(tmp_path, text))


IN_JSON = {  # of "day 1/001.png" cat, "x.PNG" dog
    "a label of each file": '{"day 1/001.png": "cat", "x": "dog"}',
    "objects": '[{"file": "001.png", "label": "cat", "box": [1, 2]}, {"file": "x.PNG", "label": "dog"}]',
    "lines": '{"file_name": "001.png", "text": 1, "label": "cat"}\n\n{"file_name": "x.PNG", "label": "dog"}\n',
    "pairs under a key": '{"labels": [["day 1/001.png", "cat"], ["x.PNG", ["dog"]]]}',
    "objects under a key": '{"data": [{"path": "set/day 1/001.png", "class": "cat"}, {"path": "x", "class": "dog"}]}',
    "a label of each file under a key": '{"train": {"001.png": "cat", "x": "dog"}}',
    "an object of each file": '{"001.png": {"label": "cat", "n": 1}, "x.PNG": {"label": "dog"}}',
    "columns": '{"image": ["001.png", "x.PNG", "002.png"], "class": ["cat", "dog", null]}',
    "columns of pandas": '{"image": {"0": "001.png", "1": "x.PNG"}, "class": {"0": "cat", "1": "dog"}}',
    "files of each class": '{"cat": ["001.png"], "dog": ["x.PNG"]}',
    "labels alone": '["cat", "", null, "unknown", "dog"]',
    "labels in a column": '{"labels": ["cat", "", null, "unknown", "dog"]}',
}  # fmt: skip


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
@pytest.mark.parametrize("case", IN_JSON)
def test_labels_in_json(tmp_path, case, suffix):
    path = tmp_path / f"labels{suffix}"
    path.write_text(IN_JSON[case], encoding="utf-8-sig")
    found = with_labels(images(5, files=PHOTOS), path)
    assert found.labels.texts.tolist() == ["cat", "", "", "", "dog"]


@pytest.mark.parametrize("table", ["labels.json", "labels.csv", "labels.npy"])
def test_labels_that_name_no_files_are_told_to_be_those_of_files_in_turn(tmp_path, table):
    (tmp_path / "labels.json").write_text('["b", "a"]')
    (tmp_path / "labels.csv").write_text("Label\nb\na\n")
    np.save(tmp_path / "labels.npy", ["b", "a"])
    told = [with_labels(images(2, files=files), tmp_path / table).notes for files in (PHOTOS[:2], None)]
    assert told == [(f"{table} names no files: its labels are taken for those of set in turn, {TURN}",), ()]


def test_numbers_and_marks_of_formulas_in_json_are_what_they_are(tmp_path):
    path = tmp_path / "labels.json"
    path.write_text('{"0": "=a", "1": "\'+b", "2": 7, "3": -1, "4": 2.0, "5": true, "6": "\\u00e9"}')
    assert with_labels(images(7), path).labels.texts.tolist() == ["=a", "'+b", "7", "", "2.0", "true", "\xe9"]


def test_one_line_of_json_is_one_row(tmp_path):
    (tmp_path / "labels.jsonl").write_text('{"file": "x.PNG", "label": "dog"}\n')
    found = with_labels(images(5, files=PHOTOS), tmp_path / "labels.jsonl")
    assert found.labels.texts.tolist() == ["", "", "", "", "dog"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"0": "a", "0": "b"}', "two values of '0'"), ('{"File": NaN}', "labels 'File', which set does not have"),
        ("[" + "1" * 5_000 + "]", "^((?!sys)(.|\\n))*$"),
        ("", "not a table of labels"), ("{}", "not a table of labels"),
        ('[{"colour": 1, "size": 2}]', "found 'colour', 'size'"), ("[[1, 2, 3]]", "expected {"), ("7", "found '7'"),
        ('{"0": "a"', "is no JSON"), ('{"0": "a"}\n{', "no JSON(.|\\n)*in line 2"), ("[" * 100_000, "is no JSON"),
        ('[["0", ["a", "b"]], ["1", "a"], ["1", "b"]]', "row 3 .* labels '1' again"),
        ('[["0", ["a", "b"]], ["1", "a"], ["2", "b"]]', "several labels in 1 of 3 cells"),
        ('{"0": ["a", "b"], "1": ["c"], "2": []}', "several labels in 1 of 2 cells(.|\\n)*a list of 2\\n.*such as 'a'"),
        ('[{"file": 0, "label": [1, 2, null]}, {"file": 1, "label": 3}]', "a list of 3"),
        ('{"file": "0", "label": {"name": "1"}}\n{"file": "1", "label": {"name": "2"}}', "an object.*\n.*\n.*'name'"),
        ('[["9", "a"]]', "row 1 of labels.json labels '9', which set does not have"),
    ],
)  # fmt: skip
def test_json_that_is_no_table_is_refused(tmp_path, text, complaint):
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(DataError, match=complaint):
        with_labels(images(3), tmp_path / "labels.json")


def test_the_line_that_makes_a_table_of_coco_or_an_array_of_an_archive_works(tmp_path):
    coco = {
        "images": [{"id": 5, "file_name": "001.png"}, {"id": 7, "file_name": "x.PNG"}],
        "annotations": [{"image_id": 7, "category_id": 1}, {"image_id": 5, "category_id": 2}],
        "categories": [{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    np.savez(tmp_path / "array.npz", ids=np.arange(5), test_labels=np.array(["cat", "", "", "", "dog"]))
    for name, made in (("coco.json", "coco.csv"), ("array.npz", "array.npy")):
        with pytest.raises(DataError) as caught:
            with_labels(images(5, files=PHOTOS), tmp_path / name)
        exec(re.split("of it(?: in Python)?: ", caught.value.remedy)[1], {"numpy": np})
        found = with_labels(images(5, files=PHOTOS), tmp_path / made)
        assert found.labels.texts.tolist() == ["cat", "", "", "", "dog"]


def test_an_array_of_labels_tells_no_part_and_a_table_may(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(2 * 64, dtype=np.uint8).reshape(2, 8, 8))
    np.save(tmp_path / "y.npy", ["a", "b"])
    with pytest.raises(DataError, match=r"x\.npy has no test part, nor any other"):
        load("x.npy", labels="y.npy", split="test")
    table = written(tmp_path, "File,Label,Split\n0,a,train\n1,b,test\n")
    assert load("x.npy", labels=table, split="test").labels.texts.tolist() == ["b"]


PARTS = [  # the table; the rows of images that each part reads; how many are of none
    ("File,Label,Split\n0,a,train\n1,b,train\n2,a,test\n3,b,\n", ([0, 1], [2]), 2),
    ("File,Label,is_train\n0,a,1\n1,b,\n2,b,0\n3,a,0\n4,,0\n", ([0], [2, 3, 4]), 1),
    ("File;Label;usage\n4;a;Training\n3;b;Testing\n", ([4], [3]), 3),
    ("File,Label,Split\n0,a,train\n1,b,train\n2,,train\n3,b,test\n4,a,test\n", ([0, 1, 2], [3, 4]), 0),
    ("File,Label,Split\n0,a,train\n1,b,\n", ([0], [0]), 4),
]


@pytest.mark.parametrize(("table", "read", "of_none"), PARTS)
@pytest.mark.parametrize("files", [None, tuple(f"{row}.png" for row in range(5))])
def test_images_of_no_part_are_in_none_and_told(tmp_path, table, read, of_none, files):
    known = images(5, files=files)
    known = ImageSet(known.images + np.arange(5, dtype=np.uint8)[:, None, None, None], name="set", files=files)
    for part, rows in zip(("train", "test"), read, strict=True):
        found = with_labels(known, written(tmp_path, table), wanted=splits.Wanted(part))
        assert found.images[:, 0, 0, 0].tolist() == rows
        told = [note for note in found.notes if "gives no part" in note]
        assert [note.split(": ")[1].split()[0] for note in told] == [str(of_none)] * (of_none > 0)


@pytest.mark.parametrize(
    ("labels", "names", "told"),
    [
        ([1, 2, 1], ["1", "2", "3"], "such as 1 as '2'"), ([3, 1], [3, 2, 1, 0], "such as 1 as '2'"),
        ([0, 1, 2], ["2", "1", "0"], "such as 0 as '2'"), ([0, 2], ["0", "1", "2"], ""), ([0, 1], ["1", "4"], ""),
        ([0, 1], ["cat", "dog"], ""),
    ],
)  # fmt: skip
def test_numbers_that_are_names_too_are_told_to_be_read_as_indices(tmp_path, labels, names, told):
    pixels = np.random.default_rng(0).integers(0, 256, (len(labels), 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=pixels, labels=labels, class_names=names)
    found = load(tmp_path / "set.npz")
    assert found.labels.texts.tolist() == [str(names[label]) for label in labels]
    notes = [note for note in found.notes if "labels.astype(str)" in note]
    assert len(notes) == bool(told)
    assert all(told in note for note in notes)
