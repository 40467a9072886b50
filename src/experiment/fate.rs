//! What attacks made of one sample.

/// What became of one sample under attack. Its code is what the run file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fate {
    /// It was misclassified as it stands.
    Misclassified = 0,
    /// No attack changed its class.
    Survived = 1,
    /// PGD found an image of another class.
    Pgd = 2,
    /// The gradients at finite p did, PGD did not.
    Relaxed = 3,
    /// Only an attack towards one class did.
    Targeted = 4,
    /// Only the search along the paths that the scores depend on did.
    Greedy = 5,
}

impl Fate {
    const ALL: [Fate; 6] =
        [Fate::Misclassified, Fate::Survived, Fate::Pgd, Fate::Relaxed, Fate::Targeted, Fate::Greedy];

    /// Its byte in the run file.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// What it is called in files.
    pub fn word(self) -> &'static str {
        match self {
            Fate::Misclassified => "misclassified",
            Fate::Survived => "survived",
            Fate::Pgd => "pgd",
            Fate::Relaxed => "relaxed",
            Fate::Targeted => "targeted",
            Fate::Greedy => "greedy",
        }
    }

    /// The fate of a byte of the run file.
    pub fn of_code(code: u8) -> Option<Fate> {
        Fate::ALL.into_iter().find(|fate| fate.code() == code)
    }

    /// Whether an attack changed the class.
    pub fn is_broken(self) -> bool {
        !matches!(self, Fate::Misclassified | Fate::Survived)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_they_are_written() {
        assert!(Fate::ALL.iter().all(|fate| Fate::of_code(fate.code()) == Some(*fate)));
        assert_eq!(Fate::of_code(6), None);
    }
}
