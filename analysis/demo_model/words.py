"""The words of the bundled model's world.

Everything that can be an answer (names, cities, weekdays, months, numbers and
the words of repeated sequences) is a single token with its leading space; the
tokenizer's tests hold these lists to that.
"""

NAMES: tuple[str, ...] = tuple(
    """
    Mary John Alice Tom James Anna Robert Linda Michael Sarah David Laura Daniel Emma Mark Susan
    Paul Karen Peter Nancy George Helen Kevin Julia Brian Diana Steven Rachel Edward Amy Jason
    Megan Ryan Kate Jacob Lisa Adam Maria Eric Sophie Henry Claire Oliver Jane Simon Nina Lucas
    Ellen Martin Grace Arthur Olivia Philip Hannah Victor Lucy Samuel Emily Andrew Carol Thomas
    Sandra Matthew Monica Bob Joe Sam Ben Max William Elizabeth Richard Jennifer Joseph Jessica
    Charlie
    """.split()
)

PLACES: tuple[str, ...] = tuple(
    """
    store park school office garden library market hospital beach station restaurant museum
    theater bakery farm airport hotel bank church kitchen harbor gym zoo cafe forest village
    castle factory stadium pharmacy cinema bridge
    """.split()
)

# All begin with a consonant, so that "a" is always the right article.
OBJECTS: tuple[str, ...] = tuple(
    """
    drink book ball ring letter gift kiss bone basket computer necklace snack pen key phone coat
    hat map ticket flower sandwich cake camera guitar lamp toy picture bottle card coin blanket
    newspaper pencil chair box cup
    """.split()
)

ADJECTIVES: tuple[str, ...] = tuple(
    """
    small big red blue green new heavy bright cold warm quiet strange simple golden broken wooden
    tiny soft round dark fresh clean cheap lovely
    """.split()
)

ANIMALS: tuple[str, ...] = tuple(
    """
    cat dog horse bird sheep cow goat lion tiger bear fox wolf rabbit mouse duck frog monkey
    snake turtle whale
    """.split()
)

NOUNS: tuple[str, ...] = tuple(
    """
    river table apple mountain window door road tree cloud moon star rain snow wind fire stone
    island ocean desert valley bread milk cheese sugar salt pepper orange lemon banana tomato
    potato onion rice soup tea coffee water music song dance story movie game team player doctor
    teacher student farmer driver pilot soldier king queen prince lawyer engineer writer artist
    sailor nurse chef train bus car boat plane truck bicycle wheel engine hammer nail rope ladder
    bucket brush mirror clock shoe shirt dress glove scarf belt button pocket silver copper iron
    glass paper cotton leather pillow carpet candle drum violin piano
    """.split()
)

CONTENT_WORDS: tuple[str, ...] = OBJECTS + ADJECTIVES + ANIMALS + NOUNS
"""The words of repeated sequences whose neighbours are split between training and test."""

COMMON_WORDS: tuple[str, ...] = tuple(
    """
    the of and to in is you that it he was for on are as with his they at be this have from or
    had by but some what there we can out other were all your when up use word how said each she
    which do their time if will way about many then them would write like so these her long make
    thing see him has look more day could go come did my sound no most number who over know than
    call first people down side been now find any work part take get place made live where after
    back little only man year came show every good me give our under name very through just form
    much great think say help low line before turn cause same mean move right boy old too does
    tell sentence set want air well also play end put home read hand port large spell add even
    land here must high such follow act why ask men change went light kind off need house try us
    again animal point mother world near build self earth father head stand own page should
    country found answer grow study still learn plant cover food sun thought let keep eye never
    last between city cross since hard start might saw far sea draw left late run while press
    close night real life few stop open seem together next white children begin got walk example
    ease often always those both mark until mile feet care second group carry took eat room
    friend began idea fish north once base hear cut sure watch color face wood main enough plain
    girl usual young ready above ever list though feel talk soon body family direct leave measure
    state product black short class question happen complete ship area half rock order south
    problem piece told knew pass top whole size heard best hour better true during am remember
    step early hold west ground interest reach fast sing listen travel less morning several
    toward war lay against pattern slow center love person money serve appear science rule govern
    pull notice voice fall power town fine certain fly unit lead cry machine note wait plan figure
    noun field rest correct able pound done beauty drive stood contain front teach week final gave
    oh quick develop sleep free minute strong special mind behind clear tail produce fact street
    inch lot nothing course stay full force object decide surface deep foot yet busy test record
    common gold possible age dry wonder laugh ago ran check shape yes hot miss brought heat bed
    bring sit perhaps fill east weight language among model layer token head because into not an
    a I month today tomorrow yesterday its one's who's let's said says however another without
    """.split()
)

DAYS: tuple[str, ...] = tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())
MONTHS: tuple[str, ...] = tuple(
    """
    January February March April May June July August September October November December
    """.split()
)
NUMBER_WORDS: tuple[str, ...] = tuple(
    """
    one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen seventeen eighteen nineteen twenty
    """.split()
)
DIGITS: tuple[str, ...] = tuple(str(number) for number in range(1, 61))
LETTERS: tuple[str, ...] = tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
