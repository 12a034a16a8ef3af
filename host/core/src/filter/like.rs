//! The `like` operator: `%` is any text, `_` any one character, everything else itself, case-sensitive. The pattern runs as
//! a bit-parallel automaton, so that a hostile pattern costs no more than a plain one: one step of four 64-bit operations
//! for each character of the text.

/// Characters of a `like` pattern: no text that can be filtered is longer, and the matcher uses one bit for each.
pub const PATTERN_LENGTH_MAX: usize = 255;

/// A set of pattern positions, one bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Positions([u64; 4]);

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    text: Box<str>,
    /// The positions of each character of the pattern; sorted by character.
    characters: Vec<(char, Positions)>,
    /// The positions of `_`.
    any_one: Positions,
    /// The positions of `%`.
    any_text: Positions,
    /// The number of positions after runs of `%` are made one.
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
            characters: Vec::new(),
            any_one: Positions::default(),
            any_text: Positions::default(),
            length: 0,
        };
        let mut after_any_text = false;
        for character in text.chars() {
            if character == '%' && after_any_text {
                continue;
            }
            after_any_text = character == '%';
            pattern.add(character);
            pattern.length += 1;
        }
        pattern.characters.sort_by_key(|(character, _)| *character);
        Some(pattern)
    }

    fn add(&mut self, character: char) {
        let index = self.length;
        match character {
            '%' => self.any_text.insert(index),
            '_' => self.any_one.insert(index),
            _ => match self.characters.iter_mut().find(|(known, _)| *known == character) {
                Some((_, positions)) => positions.insert(index),
                None => {
                    let mut positions = Positions::default();
                    positions.insert(index);
                    self.characters.push((character, positions));
                }
            },
        }
    }

    /// The pattern's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn matches(&self, text: &str) -> bool {
        let mut reached = Positions::default();
        reached.insert(0);
        reached = self.past_any_text(reached);
        for character in text.chars() {
            let here = match self.characters.binary_search_by_key(&character, |(known, _)| *known) {
                Ok(found) => {
                    self.characters.get(found).map_or(self.any_one, |(_, positions)| positions.or(self.any_one))
                }
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

    /// `%` also matches nothing; one step is enough because no two are adjacent.
    fn past_any_text(&self, reached: Positions) -> Positions {
        reached.or(reached.and(self.any_text).next())
    }
}

impl Positions {
    fn insert(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    fn contains(self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1)
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
