"""Who speaks: espeak's variants as speakers, any of whom can take any accent."""

from trainables.audio.espeak import Espeak

# Latin letters sound as in gmw/en there; its own alphabet is Shavian.
SAME_AS_ENGLISH = "gmw/en-Shaw"

# Variants that are one speaker to the ear. Measured on one sentence in gmw/en-US: log spectra, normalised, under
# 0.3 apart (root mean square; the median of all pairs is 0.8), with namesakes up to 0.33.
ALIKE = (
    ("Diogo", "Henrique", "Hugo", "michel", "miguel"),
    ("Gene", "Gene2"),
    ("Reed", "adam", "benjamin", "edward2", "klatt6", "mike2"),
    ("anika", "anikaRobot"),
    ("edward", "klatt3", "klatt4", "klatt5"),
    ("fast", "john", "m6", "max"),
    ("iven", "iven2", "iven3", "iven4"),
    ("klatt", "klatt2"),
    ("rob", "robert"),
    ("robosoft2", "robosoft3"),
    ("robosoft4", "robosoft5", "robosoft7"),
    ("steph", "steph2", "steph3"),
)


def accents(espeak: Espeak) -> list[str]:
    """The accents that differ in sound, e.g. ``gmw/en-GB-scotland``."""
    return [accent for accent in espeak.accents() if accent != SAME_AS_ENGLISH]


def speaker_groups(espeak: Espeak) -> list[tuple[str, ...]]:
    """Every variant once, those that sound alike together: a group belongs in one split."""
    paired = {variant for group in ALIKE for variant in group}
    return [*ALIKE, *((variant,) for variant in espeak.variants() if variant not in paired)]
