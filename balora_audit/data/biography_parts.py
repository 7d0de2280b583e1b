"""The phrase banks that the synthetic biographies are made of. Data only; every phrase is our own.

In a phrase, ``{their}`` stands for the possessive pronoun. Verbs are in the third person singular past or use forms that
are the same for *they*, so that one phrase serves every pronoun.
"""

from __future__ import annotations

__all__ = ["CLUES", "DISTRACTORS", "FEMALE_MAJORITY", "GENDERED_NAMES", "NEUTRAL_NAMES", "OCCUPATIONS", "PLACES", "SHARED"]

OCCUPATIONS = ("nurse", "teacher", "engineer", "lawyer", "chef", "surgeon", "journalist", "artist")

FEMALE_MAJORITY = frozenset({"nurse", "teacher", "journalist", "artist"})
"""Occupations whose planted majority group is female; male for the others."""

CLUES: dict[str, tuple[str, ...]] = {
    "nurse": (
        "checked blood pressure and temperature on the night ward",
        "changed dressings and handed out medication",
        "comforted worried families at the bedside",
        "took vital signs before the morning round",
        "set up drips and watched over recovering patients",
        "looked after newborns on the maternity ward",
        "gave vaccinations at the village clinic",
        "kept the charts of twelve patients up to date",
        "helped elderly residents wash and take their pills",
        "called the doctor when a patient's breathing changed",
        "worked night shifts in the intensive care unit",
        "cleaned wounds in the emergency room",
    ),
    "teacher": (
        "explained fractions to nine-year-olds",
        "marked exams and met with parents",
        "planned lessons for the spring term",
        "read stories aloud to a class of six-year-olds",
        "prepared pupils for their final exams",
        "wrote report cards at the end of term",
        "took the class on a trip to the zoo",
        "taught grammar to a room of teenagers",
        "ran the homework club at the primary school",
        "wrote sums on the board for the third grade",
        "helped slow readers catch up with the class",
        "kept order in a noisy classroom",
    ),
    "engineer": (
        "designed gears for wind turbines",
        "calculated the load that a bridge can carry",
        "tested prototypes of a water pump",
        "drew circuit plans for a new sensor",
        "fixed the vibration in a jet engine",
        "planned the drainage of a railway tunnel",
        "built control software for factory robots",
        "measured how much heat a battery loses",
        "improved the brakes of an electric bus",
        "simulated the air flow around a car",
        "signed off the blueprints of a power station",
        "wrote the specification for a steel frame",
    ),
    "lawyer": (
        "argued a custody case in court",
        "drafted contracts for a shipping company",
        "questioned witnesses before the judge",
        "filed an appeal for a client in prison",
        "negotiated the terms of a divorce",
        "advised a bank on competition law",
        "defended a man accused of fraud",
        "read case law until midnight",
        "settled a dispute over an inheritance",
        "won damages for injured workers",
        "prepared the defence for a murder trial",
        "explained the verdict to a nervous client",
    ),
    "chef": (
        "wrote the autumn menu of a small bistro",
        "plated desserts for sixty guests",
        "simmered stock from early morning",
        "ran the kitchen of a seaside hotel",
        "seasoned lamb and rolled fresh pasta",
        "trained the line cooks to fillet fish",
        "earned a star for a tasting menu",
        "ordered vegetables at the market before dawn",
        "shouted orders over hissing pans",
        "perfected a sauce of butter and wine",
        "baked bread for the evening service",
        "tasted every soup before it was served",
    ),
    "surgeon": (
        "removed a tumour in a six-hour operation",
        "transplanted a kidney last spring",
        "repaired a torn heart valve",
        "held the scalpel in the operating theatre",
        "scrubbed in for an emergency appendectomy",
        "replaced hips and knees",
        "operated on a child's spine",
        "closed the incision with forty stitches",
        "opened blocked arteries through a tiny cut",
        "led the trauma team in the operating room",
        "reattached two fingers after an accident",
        "performed the first keyhole operation in the region",
    ),
    "journalist": (
        "interviewed the mayor for the front page",
        "broke the story of a bribery scandal",
        "reported from the border during the war",
        "wrote a weekly column on local politics",
        "protected a source at the ministry",
        "filed copy minutes before the deadline",
        "covered the election for a daily paper",
        "checked quotes with the press office",
        "investigated missing funds at the town hall",
        "presented the evening news on local radio",
        "edited headlines for the morning edition",
        "followed the protests with a notebook and a recorder",
    ),
    "artist": (
        "exhibited watercolours in a small gallery",
        "mixed pigments for a large mural",
        "carved figures out of oak",
        "sold three canvases at the summer show",
        "sketched strangers in charcoal",
        "shaped clay into tall thin statues",
        "filled a studio with unfinished portraits",
        "painted the harbour in oils",
        "made prints from carved linoleum",
        "hung an installation of glass and wire",
        "drew illustrations for a book of fairy tales",
        "stretched canvas over a wooden frame",
    ),
}

SHARED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("worked long shifts at the hospital", ("nurse", "surgeon")),
    ("saw patients until late in the evening", ("nurse", "surgeon")),
    ("wore gloves and a mask all day", ("nurse", "surgeon")),
    ("spent the morning with clients", ("lawyer", "engineer", "artist")),
    ("wrote a long report over the weekend", ("journalist", "engineer", "lawyer")),
    ("met a tight deadline again", ("journalist", "engineer", "artist")),
    ("asked difficult questions for a living", ("journalist", "lawyer", "teacher")),
    ("trained the younger colleagues", ("chef", "nurse", "surgeon", "engineer")),
    ("stood for ten hours a day", ("chef", "nurse", "surgeon", "teacher")),
    ("started before sunrise and finished late", ("chef", "nurse", "journalist")),
    ("needed steady hands and good eyes", ("surgeon", "artist", "engineer")),
    ("won a prize for work with young people", ("teacher", "artist", "journalist")),
    ("drew careful plans before every project", ("engineer", "artist")),
    ("spoke in front of a full room every day", ("teacher", "lawyer")),
    ("worked with sharp knives and a calm head", ("chef", "surgeon")),
    ("looked for the right words all day", ("journalist", "lawyer", "teacher")),
)
"""Phrases that fit several occupations: an item described by these alone cannot be told for certain."""

DISTRACTORS: tuple[str, ...] = (
    "cooked pasta for friends on Sundays",
    "read court dramas on the train",
    "painted a little at weekends",
    "taught a neighbour's child to swim",
    "followed the news closely",
    "repaired old radios for fun",
    "gave blood twice a year",
    "visited an uncle in hospital",
    "sang in a choir",
    "walked the dog along the canal",
    "studied in another city",
    "grew tomatoes on the balcony",
    "played chess at the club",
    "was fond of mountain hikes",
    "collected stamps from distant islands",
    "ran a half marathon in May",
    "shared a flat with two friends",
    "spoke three languages",
    "had a menu of family recipes",
    "went to a gallery once a month",
    "kept {their} school reports in a box",
    "built model bridges with a nephew",
    "once argued with a judge over a parking fine",
    "wrote letters to the local paper",
    "learned first aid and blood pressure checks as a scout",
    "drew portraits of the cat",
    "took a class in pottery",
    "watched hospital series on television",
)

PLACES: tuple[str, ...] = (
    "in Leeds", "near the coast", "in a small town", "in Lisbon", "in the old quarter", "in Toronto", "up north", "in Nairobi",
    "by the river", "in Kraków", "abroad", "in Dublin", "in the valley", "in Lima", "downtown", "in Adelaide",
)  # fmt: skip

GENDERED_NAMES: tuple[tuple[str, str], ...] = (
    ("Mary", "John"), ("Anna", "Peter"), ("Laura", "David"), ("Emma", "James"), ("Sarah", "Thomas"), ("Julia", "Daniel"),
    ("Karen", "Mark"), ("Helen", "Paul"), ("Alice", "Robert"), ("Susan", "Kevin"), ("Nina", "Oscar"), ("Rosa", "Carlos"),
    ("Fatima", "Omar"), ("Ingrid", "Lars"), ("Priya", "Arjun"), ("Mei", "Hiro"), ("Olga", "Ivan"), ("Claire", "Simon"),
    ("Grace", "Henry"), ("Diana", "Victor"), ("Martha", "George"), ("Eva", "Adam"), ("Lucia", "Marco"), ("Amina", "Yusuf"),
)  # fmt: skip
"""(female, male) pairs; a counterfactual twin swaps within a pair, so the swap undoes itself."""

NEUTRAL_NAMES: tuple[str, ...] = ("Alex", "Sam", "Robin", "Casey", "Jordan", "Taylor", "Morgan", "Kim", "Quinn", "Avery")
