"""Graders of lesson 01's exercises: from a page of the web to ids."""

from grading.answer import rng


def _some(random, items, n):
    """n of the items, drawn with replacement."""
    return [items[i] for i in random.integers(0, len(items), n)]


def test_strip_tags(answer):
    answer.equals("<p>A <b>good</b> film!<br>See it.</p>")
    answer.equals("I <3 <b>it</b>, 1 < 2.")
    answer.equals("<P>One<BR/>two <B>three</B></P>")
    answer.equals('a<script type="x">if (b < c) d("<p>");</script>e')
    answer.equals("<style>p {}</style>one<style>b {}</style>two<SCRIPT>x</SCRIPT>three")
    answer.equals("see <a\nhref='x'>this</a>")
    answer.equals("one<!-- <b>no</b> > --> two")
    answer.equals(
        "<!DOCTYPE html><html><head><title>片名</title></head><body>很<em>好</em>看</body></html>"
    )
    random = rng("strip_tags")
    pieces = [
        *("good", " ", "电影", "\n", "1 < 2", "I <3 it", "a > b", "<br>", "<br />", "</p>", "<P>"),
        *("<b>", "</b>", "<span class='x y'>", "</SPAN>", '<h1 id="a">', "</h1>", "<!-- a\nb -->"),
        *("<script>x();</script>", "<style\ntype='a'>p {\n}</style>", "<!-- <p>old</p> -->"),
    ]
    for n in (2, 3, 4, 6, 8, 10, 15, 20):
        answer.equals(" ".join(_some(random, pieces, n)))


def test_decode_entities(answer):
    answer.equals("3 &lt; 5 &amp; &#20320;&#x597d;")
    answer.equals("&amp;lt; &amp;amp; &#38;gt;")
    answer.equals("AT&T, ?a=1&copy=2 &amp")
    answer.equals("&nosuchname; &;")
    answer.equals("&#X4E2D;")
    answer.equals("caf&eacute;, &quot;Tom&apos;s&quot; -&gt; caf&#233;")
    random = rng("decode_entities")
    pieces = [
        *("Tom", " ", "&", ";", "#65", "AT&T", "电影", "&nosuchname;", "&amp;", "&lt;", "&gt;"),
        *("&quot;", "&apos;", "&eacute;", "&#65;", "&#x41;", "&#X7535;", "&#24433;", "&#x1F600;"),
    ]
    for n in (2, 3, 4, 6, 8, 10, 15, 20):
        answer.equals("".join(_some(random, pieces, n)))


def test_half_width(answer):
    answer.equals("ＧＰＴ－４　很好！")
    answer.equals("～！")
    answer.equals("５０￥")
    answer.equals("①…")
    answer.equals("｟１｠")
    answer.equals("")
    random = rng("half_width")
    alphabet = [chr(code) for code in (*range(0xFF01, 0xFF5F), 0x3000)] + list("很好看。 aZ9~é")
    for n in (1, 2, 3, 5, 10, 40):
        answer.equals("".join(_some(random, alphabet, n)))


def test_split_words(answer):
    answer.equals("GPT-4会下棋, isn't it?")
    answer.equals("snake_case")
    answer.equals("Café Ünal")
    answer.equals("Well... wait!!")
    answer.equals("电影，很好看。")
    answer.equals("《Inception》")
    answer.equals("No一")
    answer.equals("\tone\n\n two　")
    random = rng("split_words")
    pieces = [
        *("good", "Film", "2nd", "1999", "电影", "看", "naïve", "ÉTÉ", " ", "  ", "\n", " ", "!?"),
        *(".", "，", "《", "》", "-", "_", "'", "$"),
    ]
    for n in (2, 3, 4, 6, 10, 20, 40):
        answer.equals("".join(_some(random, pieces, n)))


def test_build_vocabulary(answer):
    answer.equals([["the", "dog", "sat"], ["the", "cat", "saw", "the", "dog"]], max_size=5)
    answer.equals([["a", "a", "a", "b", "b", "c"]], max_size=10, min_count=2)
    answer.equals([["x", "x", "x"], ["y"], ["y"]], max_size=10)
    answer.equals([["the", "[UNK]", "[UNK]", "film", "[PAD]"]], max_size=4)
    answer.equals([["电", "影"], ["电"]], max_size=2)
    random = rng("build_vocabulary")
    words = ["the", "film", "a", "电", "影", "看", "[UNK]", "zoom", "!", "Zoom", "12"]
    for n, max_size, min_count in ((4, 6, 1), (8, 6, 2), (20, 8, 2), (30, 20, 3), (40, 7, 1)):
        sentences = [_some(random, words, n // 2), _some(random, words[:5], n - n // 2)]
        answer.equals(sentences, max_size, min_count)


def test_count_pairs(answer):
    answer.equals([(["l", "o", "w"], 5), (["l", "o", "w", "e", "r"], 2)])
    answer.equals([(list("banana"), 3)])
    answer.equals([(["人", "山", "人", "海"], 2), (["海"], 7), (["sea", "side"], 1)])
    random = rng("count_pairs")
    for n_words, length in ((1, 3), (2, 4), (3, 6), (10, 8)):
        answer.equals(
            [
                (_some(random, ["a", "b", "ab", "电"], int(random.integers(1, length + 1))), int(n))
                for n in random.integers(1, 9, n_words)
            ]
        )


def test_merge_pair(answer):
    answer.equals(["a", "b", "a", "b", "c"], ("a", "b"))
    answer.equals(["a", "a", "a"], ("a", "a"))
    answer.equals(["xa", "b"], ("a", "b"))
    answer.equals(["b", "a", "b"], ("a", "b"))
    answer.equals(["a"], ("a", "b"))
    answer.equals(["电", "影", "院"], ("电", "影"))
    random = rng("merge_pair")
    for n in (2, 3, 4, 5, 6, 8, 12, 20):
        symbols = _some(random, ["a", "b", "ab", "看"], n)
        answer.equals(symbols, tuple(_some(random, symbols, 2)))


def test_train_bpe(answer):
    answer.equals({"low": 5, "lower": 2, "newest": 6, "widest": 3}, 3)
    answer.equals({"ab": 5, "cd": 9}, 1)
    answer.equals({"mn": 2, "zy": 2, "ab": 2}, 1)
    answer.equals({"abab": 2, "cd": 3}, 1)
    answer.equals({"abab": 3}, 2)
    answer.equals({"abc": 1, "abd": 1}, 5)
    answer.equals({"a": 7}, 2)
    answer.equals({"电影": 3, "电影院": 2, "影院": 4}, 2)
    random = rng("train_bpe")
    for n_words, length, n_merges in ((2, 4, 3), (3, 5, 5), (5, 6, 8), (12, 8, 20)):
        words = {}
        for n in random.integers(1, 9, n_words):
            words["".join(_some(random, "aabc看", int(random.integers(1, length + 1))))] = int(n)
        answer.equals(words, n_merges)


def test_encode_wordpiece(answer):
    answer.equals("lower", {"[UNK]", "e", "lo", "low", "r", "##e", "##er", "##r", "##w"})
    answer.equals("unaffable", {"[UNK]", "un", "##a", "##aff", "##able"})
    answer.equals("lowxer", {"[UNK]", "low", "##er"})
    answer.equals("er", {"[UNK]", "low", "##er"})
    answer.equals("abc", {"[UNK]", "a", "ab", "##bc", "##c"})
    answer.equals("abcd", {"[UNK]", "ab", "abc", "##cd"})
    answer.equals("电影院", {"[UNK]", "电", "电影", "##影", "##院", "院"})
    random = rng("encode_wordpiece")
    for n_pieces, length in ((4, 2), (6, 3), (8, 4), (12, 6), (16, 8), (16, 10)):
        vocabulary = {"[UNK]", "a", "##b"}
        for _ in range(n_pieces):
            piece = "".join(_some(random, "ab看", int(random.integers(1, 4))))
            vocabulary.add(_some(random, ["", "##"], 1)[0] + piece)
        for _ in range(4):
            answer.equals("".join(_some(random, "ab看", length)), vocabulary)


def test_pad_batch(answer):
    answer.equals([[5, 6, 7], [8]])
    answer.equals([[5, 6, 7], [8]], pad_id=9)
    answer.equals([[5, 0], [0]])
    answer.equals([[5, 6, 7], [8]], max_length=2)
    answer.equals([[5, 6, 7], [8]], max_length=5)
    random = rng("pad_batch")
    for rows, longest, pad_id, max_length in (
        (1, 3, 0, None),
        (3, 4, 1, 3),
        (5, 8, 2, 6),
        (4, 5, 0, 9),
    ):
        lengths = random.integers(0, longest + 1, rows)
        lengths[0] = longest
        sequences = [random.integers(0, 30, n).tolist() for n in lengths]
        answer.equals(sequences, pad_id, max_length)
