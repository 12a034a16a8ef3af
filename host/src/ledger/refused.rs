//! The numbers of commits that the database refused: holes in what the watermark confirms. A ticket that is asked late must
//! still be refused, so they are remembered.

use std::collections::{BTreeSet, VecDeque};

use cashier_core::ids::Seq;

/// What a ticket waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) seq: Seq,
    /// Of its own commit alone, which is refused with whatever it rests on; otherwise of every commit up to this one whose
    /// rows the books showed.
    pub(super) own: bool,
    pub(super) epoch: u64,
    /// How often rows had been put back when the books were read.
    pub(super) put_back: u64,
}

/// How many of the newest are remembered; a ticket that is older than all of them is refused. A request lives for seconds,
/// and so many times rows are not put back meanwhile.
const REMEMBERED: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct RefusedSeqs {
    /// When the rows of some commits were put back, counted, with the epoch, and their numbers.
    remembered: VecDeque<(u64, u64, Box<[Seq]>)>,
    /// Those put back before this are forgotten.
    since: u64,
    /// Refused numbers beyond what is durable: nothing will be written under them.
    ahead: BTreeSet<u64>,
}

impl RefusedSeqs {
    /// Adds what was refused when rows had been put back so often before.
    pub(super) fn add(&mut self, put_back: u64, epoch: u64, seqs: &[Seq]) {
        if self.remembered.len() >= REMEMBERED {
            self.remembered.pop_front();
        }
        self.remembered.push_back((put_back, epoch, seqs.into()));
        self.ahead.extend(seqs.iter().map(|seq| seq.0));
        self.since = self.remembered.front().map_or(0, |(oldest, ..)| *oldest);
    }

    /// Where everything up to this number is durable: the highest number that nothing is awaited below.
    pub(super) fn settled(&mut self, up_to: Seq) -> Seq {
        let mut settled = up_to.0;
        while self.ahead.remove(&(settled + 1)) {
            settled += 1;
        }
        self.ahead = self.ahead.split_off(&settled);
        Seq(settled)
    }

    /// The numbers of the epoch that ended are handed out again.
    pub(super) fn begin_epoch(&mut self) {
        self.ahead.clear();
    }

    /// Whether what is claimed is refused, or rests on what was read of a refused commit before its rows were put back.
    pub(super) fn refuse(&self, claim: Claim) -> bool {
        let refuses = |(_, epoch, seqs): &(u64, u64, Box<[Seq]>)| {
            *epoch == claim.epoch
                && match claim.own {
                    true => seqs.contains(&claim.seq),
                    false => seqs.iter().any(|refused| *refused <= claim.seq),
                }
        };
        let mut later = self.remembered.iter().rev().take_while(|(put_back, ..)| *put_back >= claim.put_back);
        claim.put_back < self.since || later.any(refuses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(seq: u64, own: bool, put_back: u64) -> Claim {
        Claim { seq: Seq(seq), own, epoch: 1, put_back }
    }

    #[test]
    fn s3_a_ticket_older_than_all_that_is_remembered_is_refused() {
        let mut refused = RefusedSeqs::default();
        for times in 0..=1024 {
            refused.add(times, 1, &[Seq(times)]);
        }
        assert!(refused.refuse(claim(5000, true, 0)), "what was refused since is not known any more");
        assert!(!refused.refuse(claim(5000, true, 1)));
        assert!(refused.refuse(claim(1024, true, 1)));
        assert!(!refused.refuse(claim(1024, true, 1025)), "asked of books that do not show it");
    }

    #[test]
    fn s3_refused_numbers_are_awaited_by_nobody() {
        let mut refused = RefusedSeqs::default();
        refused.add(0, 1, &[Seq(3), Seq(6), Seq(7), Seq(9)]);
        assert_eq!(refused.settled(Seq(4)), Seq(4), "5 is still to be written");
        assert_eq!(refused.settled(Seq(5)), Seq(7), "8 is");
        assert_eq!(refused.settled(Seq(8)), Seq(9));
        refused.add(1, 1, &[Seq(11)]);
        refused.begin_epoch();
        assert_eq!(refused.settled(Seq(10)), Seq(10), "another commit has that number");
    }

    #[test]
    fn s3_numbers_of_another_epoch_are_other_commits() {
        let mut refused = RefusedSeqs::default();
        refused.add(0, 1, &[Seq(7)]);
        assert!(refused.refuse(claim(7, true, 0)));
        assert!(!refused.refuse(Claim { epoch: 2, ..claim(7, true, 0) }));
    }
}
