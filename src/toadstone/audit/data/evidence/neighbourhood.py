"""Where a row lies: among trusted rows of its class or not."""

from toadstone.audit.data.evidence.kind import Kind
from toadstone.audit.data.learner import PopulationModel
from toadstone.defenses.data.neighbourhood import Neighbourhood


def detector(model: PopulationModel) -> Neighbourhood | None:
    """Images as they are; other rows as a model sees them."""
    if model.population.modality == "image":
        return Neighbourhood("input")
    return None if model.known_features is None else Neighbourhood("features")


KIND = Kind(
    "neighbourhood",
    detector,
    "Its nearest rows of the same label are none of the trusted ones.",
    "Rows whose nearest rows of the same label, as they are or as a model sees them, are none of the trusted ones.",
    group_from=3,  # of two classes, rows with the wrong label lie together as well
)
