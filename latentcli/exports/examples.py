"""The short programs beside exported files, which run them without latentcli."""

from collections.abc import Sequence
from dataclasses import dataclass

from latentcli.exports.parts import Part, joined


@dataclass(frozen=True)
class Dialect:
    """How a format's programs are written; in braces ``part``, its ``input`` and what is ``given`` to it.

    Attributes:
        install: what pip is to install.
        imports: lines.
        images: makes three images of ``sizes``.
        load: reads a part from ``folder``.
        call: runs a part.
        joined: several outputs as one input.
        facts: of the classifier, in JSON.
    """

    install: str
    imports: tuple[str, ...]
    images: str
    load: str
    call: str
    joined: str
    facts: str


def text_of(parts: Sequence[Part], says: Dialect) -> str:
    """The program that runs these parts of a model on random images, and prints what comes out."""
    classifies, taken = any(part.classes for part in parts), ""
    lines = [f'"""What latentcli exported, run without latentcli: pip install {says.install}"""', ""]
    lines += [*(["import json"] if classifies else []), "from pathlib import Path", "", *says.imports, ""]
    lines += ["folder = Path(__file__).parent"]
    made = says.images.format(sizes=", ".join(map(str, parts[0].example.shape[1:])))
    lines += [f"images = {made}  # N×C×H×W, 0…255"]
    by_name = {part.name: part for part in parts}
    for part in parts:
        lines += [f"{part.name} = {says.load.format(part=part.name)}"]
        called = says.call.format(part=part.name, input=part.input, given=taken or "images")
        if part.name == "encoder":
            lines += [f"{', '.join(part.outputs)} = {called}"]
            names = joined(part, by_name["decoder"])
            taken = names[0] if len(names) == 1 else says.joined.format(given=", ".join(names))
            lines += [f"print({', '.join(f'{name}.shape' for name in part.outputs)})"]
        elif part.name == "decoder":
            lines += [f"(restored,) = {called}  # 0…1", "print(restored.shape, restored.min(), restored.max())"]
            taken = ""
        else:
            lines += [f"(probabilities,) = {called}", f'names = json.loads({says.facts})["class_names"]']
            lines += ["print([names[code] for code in probabilities.argmax(1)], probabilities.sum(1))"]
    return "\n".join(lines) + "\n"
