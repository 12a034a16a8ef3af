//! What happens to one request: as a test says, or drawn from a seed.

use crate::state::{FakeState, Manner};

impl FakeState {
    /// Notes a request, and says what happens to it: what the script says where it names this command, else what is drawn.
    pub(crate) fn receive(&mut self, command: &str, token: &str) -> Manner {
        *self.received.entry(command.to_owned()).or_default() += 1;
        if self.tokens.last().is_none_or(|last| last != token) {
            self.tokens.push(token.to_owned());
        }
        if let Some(at) = self.script.iter().position(|(known, _)| *known == command) {
            return self.script.remove(at).unwrap().1;
        }
        let Some(seed) = &mut self.chaos else { return Manner::Well };
        if self.delays_requests && command == "MngCreateFinanceRequest" && next(seed).is_multiple_of(2) {
            return Manner::ArrivesLate(next(seed) % self.drawn_ms_max);
        }
        drawn(seed, self.drawn_ms_max)
    }
}

/// The next number of a seed; the same seed gives the same numbers.
pub fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = (*seed ^ (*seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Most requests go well; what goes wrong takes up to so many milliseconds.
pub(crate) fn drawn(seed: &mut u64, length_max: u64) -> Manner {
    let later = next(seed) % length_max;
    match next(seed) % 40 {
        0 => Manner::AnswersLate(later),
        1 => Manner::AnswersTwice,
        2 => Manner::NeverAnswers,
        3 => Manner::Loses,
        4 => Manner::ClosesBefore,
        5 => Manner::ClosesAfter,
        6 => Manner::HalfALine,
        7 => Manner::Garbage,
        8 => Manner::Refuses(400, "INTERNAL"),
        9 => Manner::TimesOut(later),
        10 => Manner::ArrivesLate(later),
        11 => Manner::PushesFirst,
        12 => Manner::Refuses(8, "TOO_OFTEN"),
        13 => Manner::AnswersLate(later % 4_000),
        14 => Manner::DoneAs(202),
        15 => Manner::Refuses(503, "UNAVAILABLE"),
        _ => Manner::Well,
    }
}
