"""The classes of Mini-ImageNet as Controlled Noisy Web Labels numbers them, and their numbers in WordNet."""

CLASS_NAMES = (
    "triceratops", "upright piano", "Gordon setter", "cocktail shaker", "unicycle, monocycle", "organ, pipe organ",
    "Alaskan malamute", "prayer rug", "Newfoundland dog", "tobacco shop", "ladybug", "combination lock",
    "ashcan, trash can", "American robin", "scoreboard", "dome", "iPod", "one-armed bandit", "miniskirt",
    "French bulldog", "carton", "Tibetan mastiff", "pencil box", "king crab, Alaska crab",
    "horizontal bar, high bar", "spider web", "electric guitar", "meerkat, mierkat", "file cabinet", "consomme",
    "jellyfish", "cuirass", "black-footed ferret", "school bus", "miniature poodle", "catamaran", "snorkel", "oboe",
    "worm fence, snake fence", "African hunting dog", "golden retriever", "carousel, carrousel", "aircraft carrier",
    "photocopier", "Arctic fox, white fox", "hair slide", "tile roof", "Ibizan hound, Ibizan Podenco", "toucan",
    "house finch", "poncho", "trifle", "hourglass", "fire screen, fireguard", "white wolf", "street sign",
    "solar dish, solar collector", "rock beauty", "komondor", "bookshop", "crate", "theater curtain",
    "tank, army tank", "dugong", "dalmatian", "ear, fruit", "missile", "bolete", "orange", "vase", "Walker hound",
    "lion", "three-toed sloth", "lipstick", "coral reef", "reel", "beer bottle", "green mamba", "frying pan", "wok",
    "goose", "rhinoceros beetle", "yawl", "clog", "Saluki Hund", "chime, bell, gong", "stage", "boxer", "cliff",
    "ant", "cannon", "harvestman", "mixing bowl", "nematode", "parallel bars", "garbage truck", "holster", "barrel",
    "hotdog", "dishrag",
)  # fmt: skip
"""Names as in ``class_name.txt``, in its order."""

WORDNET = (
    "n01704323", "n04515003", "n02101006", "n03062245", "n04509417", "n03854065", "n02110063", "n03998194",
    "n02111277", "n04443257", "n02165456", "n03075370", "n02747177", "n01558993", "n04149813", "n03220513",
    "n03584254", "n04243546", "n03770439", "n02108915", "n02971356", "n02108551", "n03908618", "n01981276",
    "n03535780", "n04275548", "n03272010", "n02138441", "n03337140", "n07584110", "n01910747", "n03146219",
    "n02443484", "n04146614", "n02113712", "n02981792", "n04251144", "n03838899", "n04604644", "n02116738",
    "n02099601", "n02966193", "n02687172", "n03924679", "n02120079", "n03476684", "n04435653", "n02091244",
    "n01843383", "n01532829", "n03980874", "n07613480", "n03544143", "n03347037", "n02114548", "n06794110",
    "n04258138", "n02606052", "n02105505", "n02871525", "n03127925", "n04418357", "n04389033", "n02074367",
    "n02110341", "n13133613", "n03773504", "n13054560", "n07747607", "n04522168", "n02089867", "n02129165",
    "n02457408", "n03676483", "n09256479", "n04067472", "n02823428", "n01749939", "n03400231", "n04596742",
    "n01855672", "n02174001", "n04612504", "n03047690", "n02091831", "n03017168", "n04296562", "n02108089",
    "n09246464", "n02219486", "n02950826", "n01770081", "n03775546", "n01930112", "n03888605", "n03417042",
    "n03527444", "n02795169", "n07697537", "n03207743",
)  # fmt: skip
"""With which the names of ImageNet's files begin, in the same order."""
