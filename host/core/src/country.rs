//! The assigned country codes of ISO 3166-1 alpha-2. Whether a code is well formed is judged where it is saved; this says
//! whether a customer can be from there.

/// With XK for Kosovo, which is not assigned and which payment providers and banks use.
const ASSIGNED: &str = "AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS \
    BT BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ \
    FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT \
    JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP \
    MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE \
    RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV \
    TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW";

/// Codes that are often written for an assigned one.
const MISTAKEN: [(&str, &str); 3] = [("UK", "GB"), ("EL", "GR"), ("AN", "CW, SX or BQ")];

/// Whether it is two capital letters, which is all that saving asks.
pub fn is_well_formed(code: &str) -> bool {
    code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

pub fn is_assigned(code: &str) -> bool {
    is_well_formed(code) && ASSIGNED.split(' ').any(|known| known == code)
}

/// What is meant by a code that is not assigned.
pub fn meant(code: &str) -> Option<&'static str> {
    MISTAKEN.into_iter().find(|(mistaken, _)| *mistaken == code).map(|(_, meant)| meant)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_assigned_code_once_and_in_order() {
        let codes: Vec<&str> = ASSIGNED.split(' ').collect();
        assert_eq!(codes.len(), 249 + 1);
        assert!(codes.is_sorted() && codes.iter().all(|code| is_assigned(code)));
        assert!(codes.windows(2).all(|pair| pair.first() != pair.last()));
        for wrong in ["", "UK", "ZZ", "de", "D", "DEU", " DE", "ÄÖ"] {
            assert!(!is_assigned(wrong), "{wrong}");
        }
        assert_eq!((meant("UK"), meant("DE")), (Some("GB"), None));
    }
}
