"""``--report`` of all commands that have it: one page with the result and its images."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import latentcli as lc
from latentcli.pictures import reports

GOLDEN = Path(__file__).parent.parent / "golden"


def told(page: str) -> dict[str, str]:
    """The facts of a page, by name."""
    return dict(re.findall(r'<tr><th scope="row">(.*?)</th><td dir="auto">(.*?)</td></tr>', page))


def test_a_training_leaves_a_page_and_no_other_picture(call, trained, tiny):
    arguments = ["--labels-per-class", 5, "--seed", 4, "--report", "one.html", *tiny]
    assert call("train", trained.train, *arguments).code == 0
    page = Path("one.html").read_text()
    for caption in ("Losses by epoch", "Images above their reconstructions", "The latent space by class"):
        assert f"<figcaption>{caption}" in page
    facts = told(page)
    assert facts["model · trained with · seed"] == "4"
    assert facts["command"].startswith("latentcli train ")
    assert facts["classifier · kind"] == "gmm"
    assert len(facts["model · trained with · data · sha256"]) == 64
    seen = "has learned its classes from labels of these images"
    assert seen in page
    assert call("train", trained.train, trained.test, "--report", "two.html", "-o", "two.pth", *tiny).code == 0
    assert seen not in Path("two.html").read_text()
    assert {path.name for path in Path().glob("*.png")} == set()


def test_the_confusion_matrix_shows_its_images(call, trained):
    """Each mistake is on the page, with its image; the numbers are those of the result."""
    done = call("classify", trained.test, trained.vae, trained.gmm, "--json", "--report", "page.html")
    assert done.code == 0, done.err
    assert done.json["written"] == ["vae.csv", "page.html"]
    page, matrix = Path("page.html").read_text(), np.array(done.json["confusion_matrix"])
    mistakes = [(row, column) for row, column in np.argwhere(matrix).tolist() if row != column]
    assert mistakes
    for row, column in mistakes:
        assert f'href="#cell-{row}-{column}"' in page
        cell = page.partition(f'id="cell-{row}-{column}"')[2].partition("</ul>")[0]
        assert cell.count("<img") == min(24, matrix[row, column])
    assert told(page)["accuracy"] == f"{done.json['accuracy']:.4f}"
    truth, found = np.load(trained.test)["labels"], Path("vae.csv").read_text().split()[1:]
    wrong = [row for row in range(len(truth)) if str(truth[row]) != found[row]]
    shown = "".join(page.partition(f'id="cell-{row}-{column}"')[2].partition("</ul>")[0] for row, column in mistakes)
    assert {int(row) for row in re.findall(r'alt="(\d+) \(', shown)} == {*wrong}
    assert len(re.findall(r'<a class="p ', page)) == len(truth)


def test_rejected_images_are_in_no_cell_and_one_picture_makes_a_page_too(call, trained):
    done = call(
        "classify", trained.test, trained.vae, trained.gmm, "--reject-below", 0.5, "--json", "--report", "r.html"
    )
    page, matrix = Path("r.html").read_text(), np.array(done.json["confusion_matrix"])
    assert done.json["rejected"] == len(re.findall(r"predicted: rejected \([\d.]+\)</span>", page)) > 0
    for row, column in np.argwhere(matrix).tolist():
        cell = page.partition(f'id="cell-{row}-{column}"')[2].partition("</ul>")[0]
        assert cell.count("<img") == min(24, matrix[row, column])
    Image.fromarray(np.load(trained.test)["data"][0]).save("one.png")
    assert call("classify", "one.png", trained.vae, trained.gmm, "--report", "one.html").code == 0
    assert "<figcaption>Images of each class" in Path("one.html").read_text()


def test_python_writes_the_page_of_the_shell(call, trained):
    assert (
        call("evaluate", trained.test, trained.vae, trained.gmm, "--report", "shell.html", "--figures", "f").code == 0
    )
    model, mixture = lc.load_model(trained.vae), lc.load_classifier(trained.gmm)
    images = lc.load(str(trained.test))
    metrics, _ = lc.evaluate(images, model, mixture)
    drawn = [Path("f") / f"{name}.png" for name in ("reconstructions", "predictions", "labels", "confusion")]
    of_shell = Path("shell.html").read_text()
    command = told(of_shell)["command"]
    lc.pictures.report(
        "python.html", metrics, model=model, images=images, classifier=mixture, drawn=drawn, command=command
    )
    assert Path("python.html").read_text() == of_shell
    assert lc.pictures.report("bare.html", {"mse": 0.5}).read_text().count("<section") == 2


def test_hostile_names_and_a_classifier_of_latents(call, trained):
    """Classes and files with HTML in their names; then latents alone, which have no images to show."""
    for number, name in enumerate(('<b>"1"', "<script>x")):
        Path("photos", name).mkdir(parents=True)
        for each in range(4):
            pixels = np.random.default_rng([number, each]).integers(0, 99, (8, 8)).astype(np.uint8) + 120 * number
            Image.fromarray(pixels.astype(np.uint8)).save(Path("photos", name, f"<i>{each}'.png"))
    assert call("fit-probe", "photos", trained.vae, "--probe", "knn").code == 0
    done = call("classify", "photos", trained.vae, "probe.pth", "--report", "page.html")
    assert done.code == 0, done.err
    page = Path("page.html").read_text()
    assert "<script" not in page
    assert "<b>&quot;1" not in page.replace('<b dir="auto"', "")
    assert "&lt;script&gt;x" in page
    assert call("encode", "photos", trained.vae).code == 0
    assert call("classify", "latents.npz", "probe.pth", "--report", "latents.html").code == 0
    assert 'class="p ' in Path("latents.html").read_text()
    assert 'class="small"' not in Path("latents.html").read_text()


def test_codes_and_a_classifier_of_pixels(call):
    assert call("evaluate", GOLDEN / "images.npz", GOLDEN / "vqvae.pth", "--report", "q.html").code == 0
    page = Path("q.html").read_text()
    assert "<figcaption>Codes of images, and how often each is used" in page
    assert "of the codes are used, with a perplexity of" in page
    assert call("classify", GOLDEN / "images.npz", GOLDEN / "cnn.pth", "--report", "cnn.html").code == 0
    page = Path("cnn.html").read_text()
    assert 'href="#cell-' in page
    assert "Images in the latent space" not in page


def test_many_images_are_looked_at_in_part(trained, monkeypatch, tmp_path):
    for name, value in {"MOST": 30, "ON_THE_PLANE": 10, "WIDE": 2}.items():
        monkeypatch.setattr(reports, name, value)
    model, mixture = lc.load_model(trained.vae), lc.load_classifier(trained.gmm)
    images = lc.load(str(trained.test))
    metrics, _ = lc.evaluate(images, model, mixture)
    metrics["confusion_matrix"][0][1] += 1  # so that there is a confusion, whatever was learned
    about = {"model": model, "images": images, "classifier": mixture}
    page = lc.pictures.report(tmp_path / "page.html", metrics, **about).read_text()
    assert f"from 30 of all {len(images)}" in page
    assert page.count('<a class="p ') == 10
    assert "Of 3 classes, the most frequent confusions" in page


@pytest.mark.parametrize(
    ("report", "code", "said"),
    [("vae.csv", 2, ".html"), ("nowhere/page.html", 6, "no folder"), ("-", 2, ".html")],
)
def test_what_is_refused(call, trained, report, code, said):
    done = call("evaluate", trained.test, trained.vae, "--report", report)
    assert (done.code, said in done.err, done.out) == (code, True, ""), done.err
