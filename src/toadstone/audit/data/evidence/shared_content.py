"""What a row shares with rows of its class, and with no trusted one of it."""

from toadstone.audit.data.evidence.kind import Kind
from toadstone.defenses.data.shared_content import SharedContent

KIND = Kind(
    "shared_content",
    lambda model: SharedContent(),
    "{what}, in rows of its class alone and in none that is trusted.",
    "Rows of a class that share a word, a window of pixels or a value which no trusted row of it has.",
    group_from=2,
)
