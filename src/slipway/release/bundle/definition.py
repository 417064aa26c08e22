"""The lines of the Open Source AI Definition 1.0, as far as a bundle can show them.

Shortened from https://opensource.org/ai/open-source-ai-definition. Whether the information on the data is
sufficient for a skilled person is a person's judgement; what can be counted is whether all of it is there.
"""

from collections.abc import Collection, Mapping

from slipway.records import OpennessComponent, OpennessLine
from slipway.release.bundle.material import Material
from slipway.release.bundle.open_licences import is_open
from slipway.release.bundle.openness_data import kept, public, some
from slipway.release.bundle.openness_found import NOT_HERE
from slipway.release.bundle.render import many


def definition(
    material: Material, components: Mapping[str, OpennessComponent], files: Collection[str]
) -> tuple[OpennessLine, ...]:
    """Every line, met or not."""
    return (*_data(material, files), _code(components), _parameters(material, components))


def _data(material: Material, files: Collection[str]) -> list[OpennessLine]:
    sources = kept(material)
    open_to_all = [one.source for one in sources if public(one)]
    hidden = [one.source for one in sources if not public(one)]
    licence, described = material.recipe.bundle.licence, bool(sources) and "DATA.md" in files
    from_base = material.train.start == "base"
    told = "DATA.md: sources, licences, filters, contamination, splits" if described else "there is no DATA.md"
    base = "; what the base was trained on is not described here, so see its own release" if from_base else ""
    return [
        OpennessLine(
            element="data information",
            asks="a description of all data used for training: its origin, scope and characteristics, how it was "
            "obtained and selected, labelled, processed and filtered",
            met=described and not from_base,
            found=told + base,
        ),
        OpennessLine(
            element="data information",
            asks="a listing of all publicly available training data and where to obtain it",
            met=described and not from_base,
            found=f"{many(len(open_to_all), 'public source')}; DATA.md has place, version and digest of each{base}",
        ),
        OpennessLine(
            element="data information",
            asks="a listing of all training data obtainable from third parties and where to obtain it",
            met=not hidden and not from_base,
            found=f"nobody is told from whom to get {some(hidden)}: name a public place as its path"
            if hidden
            else f"there is none besides the public sources{base}",
        ),
        OpennessLine(
            element="data information",
            asks="the data information is under terms approved by the Open Source Initiative",
            met=is_open(licence, approved=True),
            found=f"the release, DATA.md included, is under {licence}",
        ),
    ]


def _code(components: Mapping[str, OpennessComponent]) -> OpennessLine:
    run, train = components["Inference code"], components["Training code"]
    told = f"to run it: {run.note}" if run.status == "included" else f"to run it: {run.status}, {run.note}"
    return OpennessLine(
        element="code",
        asks="the complete source code used to train and run the system, under licences approved by the Open Source "
        "Initiative",
        met=run.status == train.status == "included" and is_open(run.licence, approved=True),
        found=f"{told}. To train it: {NOT_HERE}",
    )


def _parameters(material: Material, components: Mapping[str, OpennessComponent]) -> OpennessLine:
    weights, licence = components["Model parameters (final)"], material.recipe.bundle.licence
    there = weights.status == "included"
    return OpennessLine(
        element="parameters",
        asks="the model parameters, under terms approved by the Open Source Initiative",
        met=there and is_open(licence, approved=True),
        found=f"{', '.join(weights.where)} under {licence}" if there else weights.note,
    )
