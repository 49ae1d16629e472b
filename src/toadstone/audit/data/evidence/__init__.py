"""The kinds of evidence that an audit of data gathers, one file each: a registered detector and its sentences.

Another kind is another file and its place in ``KINDS``.
"""

from toadstone.audit.data.evidence import cluster, label, neighbourhood, shared_content

KINDS = (shared_content.KIND, neighbourhood.KIND, cluster.KIND, label.KIND)
