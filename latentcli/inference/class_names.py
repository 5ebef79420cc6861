"""Whether data and classifier speak of the same classes: no accuracy means anything where they do not."""

from collections.abc import Callable, Sequence

from latentcli.core.labels import class_order

_NAMED = 8


def compare_classes(of_data: Sequence[str], of_classifier: Sequence[str]) -> tuple[str, ...]:
    """What to tell of classes that only one side knows: (), or a line, with the reason where the names tell it.

    Args:
        of_data: names of the classes that label images; none where nothing is labelled.
        of_classifier: names of the classes that it can find.
    """
    unknown = [name for name in of_data if name not in of_classifier]
    missing = [name for name in of_classifier if name not in of_data]
    if not of_data or not unknown + missing:
        return ()
    if not unknown:
        return (f"no image is labelled {_list(missing)}, which the classifier knows, too",)
    if len(unknown) < len(of_data):
        what = f"warning: the classifier does not know {_list(unknown)}: images labelled so count as wrong"
        beside = f"; no image is labelled {_list(missing)}" if missing else ""
    else:
        what = "warning: data and classifier have no class in common, so every image counts as wrong"
        beside = f": the data has {_list(unknown)}, the classifier {_list(missing)}"
    reason = _difference(unknown, missing) or _shift(of_data, of_classifier)
    return (f"{what}{beside}{reason}; `labels` can name the images as the classifier does",)


def _difference(unknown: Sequence[str], missing: Sequence[str]) -> str:
    """How these names become those of the classifier, where one simple change does it."""
    alike: dict[str, Callable[[str], object]] = {
        "in spaces around them": str.strip,
        "in capitals": lambda name: name.strip().casefold(),
        "in how numbers are written": _number,
    }
    for what, changed in alike.items():
        pairs = {changed(name): name for name in missing}
        if pairs and all(changed(name) in pairs for name in unknown):
            return f"; they differ only {what}: {unknown[0]!r} and {pairs[changed(unknown[0])]!r}"
    return ""


def _shift(of_data: Sequence[str], of_classifier: Sequence[str]) -> str:
    """By how much all numbers differ, where all names are numbers; "" where they do otherwise."""
    first, second = ([_number(name) for name in names] for names in (of_data, of_classifier))
    numbers = sorted(each for each in first if isinstance(each, float))
    others = sorted(each for each in second if isinstance(each, float))
    if not numbers or len(numbers) < len(first) or len(numbers) != len(others):
        return ""
    shift = {one - other for one, other in zip(numbers, others, strict=True)}
    return f"; the data's numbers are the classifier's {shift.pop():+g}" if len(shift) == 1 else ""


def _number(name: str) -> float | str:
    try:
        return float(name)
    except ValueError:
        return name


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(class_order(names)[:_NAMED]) + more
