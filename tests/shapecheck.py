"""The type checker under which the tests run the library: beartype, where an int is as good as a float."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
