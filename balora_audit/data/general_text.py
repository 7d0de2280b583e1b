"""General English text of our own: held-out passages for knowledge drift, and simple sentences for the tiny model."""

from __future__ import annotations

import numpy as np

__all__ = ["held_out", "pretraining"]

_HELD_OUT: tuple[str, ...] = (
    "Water boils at a lower temperature in the mountains, because the air presses less on its surface. Cooks there let beans "
    "simmer for longer.",
    "The Moon goes round the Earth in a little less than a month and always shows us the same side.",
    "Bees tell each other where flowers are by dancing in the dark of the hive. The angle of the dance points to the sun.",
    "Paris is the capital of France and lies on the river Seine. Its metro opened in the year 1900.",
    "To make bread, mix flour, water, salt and yeast, knead the dough until it is smooth, and let it rise in a warm place.",
    "A rainbow appears when sunlight is bent and reflected inside drops of rain. Red is outside and violet inside.",
    "The old clock in the hall had stopped again, so nobody in the house knew that it was already past midnight.",
    "Iron rusts when it meets both water and oxygen, which is why tools are oiled before the winter.",
    "Mount Everest, on the border of Nepal and China, is the highest mountain above the level of the sea.",
    "A library lends books for a few weeks. Readers who bring them back late usually pay a small fine.",
    "Whales breathe air and feed their young with milk, although they spend their whole lives in the ocean.",
    "The heart pumps blood through the body. In a resting adult it beats between sixty and a hundred times a minute.",
    "She folded the map, looked at the sky, and decided that they would reach the hut before the storm.",
    "In chess, the bishop moves along diagonals and the rook along ranks and files. The queen may do both.",
    "Coffee is made from the roasted seeds of a plant that grows best in warm, high places such as Ethiopia and Colombia.",
    "The printing press made books cheap enough for many more people to own them, and ideas began to travel faster.",
    "A triangle has three sides, and in a flat plane its angles add up to one hundred and eighty degrees.",
    "If you plant the bulbs in autumn, the tulips will come up in spring, as long as the mice do not find them first.",
    "Sound travels faster through water than through air, and faster still through steel.",
    "The train was late, the platform was cold, and the only open shop sold nothing but umbrellas.",
    "Antarctica is the coldest continent. Most of the fresh water on Earth is frozen in its ice sheet.",
    "Vaccines train the immune system to recognise a germ before it causes an illness.",
    "The Nile flows north through Egypt and ends in a wide delta at the Mediterranean Sea.",
    "Wash the rice until the water runs clear, then cook it with the lid on and leave it to rest for ten minutes.",
    "A compass needle is a small magnet that turns until it points along the magnetic field of the Earth.",
    "When the lights went out, the children told stories in whispers until the candle was almost gone.",
    "Plants take in carbon dioxide and give off oxygen during the day, using the energy of light.",
    "The Pacific is the largest ocean, covering almost a third of the surface of the planet.",
    "Computers store numbers as long rows of zeros and ones, because a switch has only two positions.",
    "A good knife should be sharp, since a blunt one slips more easily and needs more force.",
    "Leap years have three hundred and sixty-six days. The extra day is added to the end of February.",
    "The carpenter measured the door twice, cut the wood once, and swept the floor before going home.",
    "Gold does not rust, which is one reason why it has been used for coins and rings for thousands of years.",
    "Owls hunt at night. Their feathers make almost no noise, and their ears tell them where a mouse is moving.",
    "The city council voted to close the bridge to cars for the summer, while engineers inspect its cables.",
    "Salt lowers the freezing point of water, so it is spread on roads to keep them free of ice.",
    "Venus is closer to the Sun than the Earth is, and its thick clouds make it the hottest planet.",
    "He wrote the address on the back of the ticket, put the ticket in a book, and forgot which book it was.",
    "The human skeleton has a little more than two hundred bones, and more than half of them are in the hands and feet.",
    "Tea became popular in Britain in the eighteenth century, when ships brought it from China and later from India.",
    "An echo is sound that comes back from a distant wall or cliff. The farther the wall, the longer the delay.",
    "The recipe asks for two eggs, a cup of sugar and the juice of a lemon, but it also works with an orange.",
    "Glass is made by melting sand with soda and lime at more than a thousand degrees.",
    "The river had risen in the night, and in the morning the lower fields looked like a lake.",
    "Light from the Sun takes about eight minutes to reach the Earth.",
    "Australia is both a country and a continent, and many of its animals live nowhere else.",
    "A bicycle stays upright more easily when it moves, as the rider steers a little into every fall.",
    "Before the invention of the refrigerator, food was kept in cellars, dried, smoked or packed in salt.",
)

_SUBJECTS = (
    "the farmer", "my brother", "the old woman", "a child", "the neighbour", "her friend", "the driver", "our guide", "the cat",
    "a stranger", "the baker", "his aunt", "the captain", "a young man", "the girl", "the postman",
)  # fmt: skip
_VERBS = (
    "opened", "found", "carried", "lost", "cleaned", "sold", "bought", "watched", "repaired", "painted", "hid", "moved",
    "dropped", "liked", "forgot", "broke",
)  # fmt: skip
_OBJECTS = (
    "the door", "a red box", "an old book", "the window", "a bag of apples", "the garden gate", "a wooden chair", "the lamp",
    "a letter", "the blue car", "some bread", "the boat", "a pair of shoes", "the key", "a cup of tea", "the map",
)  # fmt: skip
_ENDINGS = (
    "in the morning", "before the rain", "near the river", "on Sunday", "after lunch", "in the kitchen", "without a word",
    "for the second time", "at the station", "because it was late", "while it snowed", "in the small village",
)  # fmt: skip


def held_out() -> tuple[str, ...]:
    """Return the passages on which knowledge drift is measured; no shipped model was trained on them."""
    return _HELD_OUT


def pretraining(count: int, *, seed: int) -> tuple[str, ...]:
    """Return `count` simple sentences from a seeded grammar, disjoint from :func:`held_out`."""
    rng = np.random.default_rng([seed, 7])

    def pick(bank: tuple[str, ...]) -> str:
        return bank[int(rng.integers(len(bank)))]

    sentences = []
    for _ in range(count):
        first = f"{pick(_SUBJECTS).capitalize()} {pick(_VERBS)} {pick(_OBJECTS)} {pick(_ENDINGS)}."
        second = f"Then {pick(_SUBJECTS)} {pick(_VERBS)} {pick(_OBJECTS)}."
        sentences.append(f"{first} {second}" if rng.random() < 0.5 else first)
    return tuple(sentences)
