//! The `like` operator: `%` is any text, `_` any one character, everything else itself, case counts. The pattern is run
//! as a bit-parallel automaton, so that a hostile pattern costs no more than a plain one: one step of four words for
//! each character of the text.

/// Characters of a `like` pattern: no text that can be filtered is longer, and the matcher keeps one bit for each.
pub const PATTERN_LENGTH_MAX: usize = 255;

/// A set of pattern positions, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Positions([u64; 4]);

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    /// For each character of the pattern, where it stands; sorted by character.
    letters: Vec<(char, Positions)>,
    /// Where any character will do.
    any_one: Positions,
    /// Where any text will do.
    any_text: Positions,
    /// How many positions there are after runs of `%` are made one.
    length: usize,
}

impl Pattern {
    /// `None` when the pattern has more than [`PATTERN_LENGTH_MAX`] characters.
    pub fn new(text: &str) -> Option<Self> {
        if text.chars().count() > PATTERN_LENGTH_MAX {
            return None;
        }
        let mut pattern = Self {
            text: text.into(),
            letters: Vec::new(),
            any_one: Positions::default(),
            any_text: Positions::default(),
            length: 0,
        };
        let mut after_any_text = false;
        for letter in text.chars() {
            if letter == '%' && after_any_text {
                continue;
            }
            after_any_text = letter == '%';
            pattern.learn(letter);
            pattern.length += 1;
        }
        pattern.letters.sort_by_key(|(letter, _)| *letter);
        Some(pattern)
    }

    fn learn(&mut self, letter: char) {
        let place = self.length;
        match letter {
            '%' => self.any_text.insert(place),
            '_' => self.any_one.insert(place),
            _ => match self.letters.iter_mut().find(|(known, _)| *known == letter) {
                Some((_, places)) => places.insert(place),
                None => {
                    let mut places = Positions::default();
                    places.insert(place);
                    self.letters.push((letter, places));
                }
            },
        }
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn matches(&self, text: &str) -> bool {
        let mut reached = Positions::default();
        reached.insert(0);
        reached = self.past_any_text(reached);
        for letter in text.chars() {
            let here = match self.letters.binary_search_by_key(&letter, |(known, _)| *known) {
                Ok(found) => self.letters.get(found).map_or(self.any_one, |(_, places)| places.or(self.any_one)),
                Err(_) => self.any_one,
            };
            let stepped = reached.and(here).next();
            let stayed = reached.and(self.any_text);
            reached = self.past_any_text(stepped.or(stayed));
            if reached == Positions::default() {
                return false;
            }
        }
        reached.contains(self.length)
    }

    /// `%` also matches nothing; one step is enough because no two stand side by side.
    fn past_any_text(&self, reached: Positions) -> Positions {
        reached.or(reached.and(self.any_text).next())
    }
}

impl Positions {
    fn insert(&mut self, place: usize) {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word |= 1 << (place % 64);
        }
    }

    fn contains(self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    fn and(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a & e, b & f, c & g, d & h])
    }

    fn or(self, other: Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a | e, b | f, c | g, d | h])
    }

    /// Every position moved one forward.
    fn next(self) -> Self {
        let [a, b, c, d] = self.0;
        Self([a << 1, b << 1 | a >> 63, c << 1 | b >> 63, d << 1 | c >> 63])
    }
}
