"""``latentcli fit-graph``: latents → graph of nearest neighbours, with the classes that spread over it."""

from pathlib import Path
from typing import Annotated

from typer import Option

from latentcli.cli import options
from latentcli.cli.app import LEARN, app, command


@command(app, panel=LEARN, examples=[
    "latentcli fit-graph latents.npz --labels-per-class 1",
    "latentcli fit-graph photos vae.pth --labels labels.csv --class-sizes ant=300,bee=500",
])  # fmt: skip
def fit_graph(
    data: options.DataOrLatents,
    vae: options.CheckpointOfImages = None,
    val: options.ValOfFit = None,
    output: Annotated[Path, Option("-o", "--output", help="The graph to write.")] = Path("graph.npz"),
    neighbours: Annotated[int, Option("-k", "--neighbours", min=1, max=1000, help="Of each image in the graph.")] = 10,
    method: Annotated[
        str,
        Option(
            metavar="auto|poisson|spreading", help="How labels spread; auto leaves labels out to see which is best."
        ),
    ] = "auto",
    alpha: Annotated[
        float | None, Option(metavar="A", help="How far labels reach by spreading, from 0 to below 1. [default: 0.9]")
    ] = None,
    class_sizes: Annotated[
        str | None, Option(metavar="A=N,B=M,…", help="How many images each class has, where that is known.")
    ] = None,
    features: Annotated[
        str | None,
        Option(metavar="mean|quantized|encoder|pixels", help="What it reads. By default what a mixture reads."),
    ] = None,
    reading: options.TrainReading = options.READ_FOR_TRAINING,
    labels_per_class: options.LabelsPerClass = None,
    figures: options.Figures = None,
    seed: options.Seed = 0,
    device: options.Device = "auto",
    json: options.Json = False,
    fail_under: options.FailUnder = None,
) -> None:
    """Spread the labels of a few images to all of DATA, along the graph of their nearest neighbours."""
    from latentcli import pictures
    from latentcli.artifacts.models import save_classifier
    from latentcli.classifiers.fitting import fit_graph, labelled
    from latentcli.classifiers.graph.graph_classifier import PESSIMISTIC, UNREACHED, GraphClassifier
    from latentcli.cli import console, inputs

    gates = console.parse_gates(fail_under)
    inputs.check_outputs(output, given=[data, vae, val, reading.labels], folder=figures)
    sizes = options.sizes(class_sizes)
    latents = inputs.latents(data, vae, device, reading, output, features)
    of_val = None
    if val is not None:
        of_val = inputs.latents(val, vae, device, reading.of_val(), output, features, "bad_files_val.csv")
    inputs.tell_replaced(output, "-o", latents.checkpoint)
    latents = labelled(latents, of_val, labels_per_class, seed, features)
    graph = fit_graph(
        latents, neighbours=neighbours, method=method, class_sizes=sizes, features=features, seed=seed,
        device=device, progress=console.progress, alpha=GraphClassifier.alpha if alpha is None else alpha,
    )  # fmt: skip
    save_classifier(graph, output)
    if alpha is not None and graph.method_ != "spreading":
        console.note(
            "--alpha is of label spreading, and labels spread by Poisson learning: to use it, --method spreading"
        )
    fewest = min(latents.labels.counts[latents.labels.counts > 0])
    if graph.left_out_accuracy_ and fewest < PESSIMISTIC:
        console.note(
            f"left_out_accuracy is too low: with {fewest} labels of a class it tells how right a graph with "
            f"{fewest - 1} of them would be"
        )
    if graph.unreached_ > UNREACHED:
        console.note(
            f"{graph.unreached_:.0%} of the images lie in parts of the graph without a label: take more --neighbours, "
            "or label images there"
        )
    drawn = pictures.of_fit(figures, latents, graph) if figures and latents.is_flat else []
    result = {"images": len(latents), **graph.summary()}
    console.result(result, as_json=json, written=[output, *drawn])
    console.check_gates(result, gates)
