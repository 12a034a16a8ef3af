//! Names and numbers of cards, and how logs mask digits.

use cashier_core::card_data::{holds_card_number, masked};
use cashier_core::card_field::CardField;

#[test]
fn k8_fields_named_like_card_numbers_or_codes_are_recognised_in_any_case_and_with_any_separators() {
    let card = [
        "pan",
        "PAN",
        "card_number",
        "cardnumber",
        "Card Number",
        "card-Number",
        "card.number",
        "customerCardNumber",
        "credit_card_number",
        "cc-number",
        "cvv",
        "C.V.V.",
        "cvc",
        "CVV2",
        "cvc_2",
        "csc",
        "security_code",
        "securityCode",
        "card_security_code",
        "card.pan",
        "cardCVV",
        "payment[cvc]",
        "track2_data",
        "card_cvv_",
        "card",
        "ccv",
        "cvv1",
        "cvv_1",
        "cvv2_code",
        "cvv_code",
        "cvvCode",
        "cardcvvcode",
        "card_cvc",
        "CVC2 number",
        "cvv/cvc",
        "customer[cvv][1]",
        "cvv_of_card",
        "checkout_cvv",
        "account_status_cvv",
        "ccv_code",
        "cardCcvNumber",
        "csc_code_2",
        "cvd_value",
        "cvn2",
        "cav2",
        "card_cid",
        "card_code",
        "card_security_number",
        "customer_card_verification_code",
        "card_number_1",
        "cardNumber2",
        "pan_1",
        "customer_card_num",
        "card_pan",
        "credit_card",
        "ccn",
    ];
    for name in card {
        assert!(CardField::named(name).is_some(), "{name}");
    }
    let fine = [
        "",
        "card_type",
        "card_brand",
        "japan",
        "company",
        "pan_african",
        "cvv_result",
        "order",
        "security",
        "code",
        "promo_code",
        "expand",
        "discard",
        "account_number",
        "id_card_number",
        "identityCardNo",
        "loyalty_card_number",
        "customer.gift-card-number",
        "sim_card_number",
        "_",
        "accvalue",
        "acc_value",
        "account_no",
        "cvv_check_code",
        "cvv2_result_code",
        "gift_card_code",
        "cvc_status",
        "verification_code",
        "social_security_number",
        "cid",
        "discount_code",
        "number",
        "card_count",
    ];
    for name in fine {
        assert_eq!(CardField::named(name), None, "{name}");
    }
}

#[test]
fn k8_numbers_of_a_card_brand_written_in_card_groups_are_recognised() {
    let card = [
        "4111 1111 1111 1111",
        "my card is 4111-1111-1111-1111, thanks",
        "5555 5555 5555 4444",
        "2223-0031-2200-3222",
        "6011 1111 1111 1117",
        "3530 1113 3330 0000",
        "6200 0000 0000 0005",
        "6759 6498 2643 8453",
        "2200 0000 0000 0004",
        "4000 0000 0000 0000 006",
        "3782 822463 10005",
        "3714-496353-98431",
        "3056 930902 5904",
        "4111\u{a0}1111\u{2009}1111\t1111",
        "4111\n1111\n1111\n1111",
        "4111 - 1111 - 1111 - 1111",
        "4111–1111‑1111—1111",
        "４１１１ １１１１ １１１１ １１１１",
        "7 4111 1111 1111 1111 12/29",
        "x4111 1111 1111 1112y",
        "4111 1111 1111 1111\n5555 5555 5555 4444",
        "4111%201111%201111%201111",
        "4111+1111+1111+1111",
        "4111%2D1111%252d1111%25252D1111",
        "%34111%C2%A01111%201111%201%311%EF%BC%91",
        "no. 12 4111 1111 1111 1111",
    ];
    for text in card {
        assert!(holds_card_number(text), "{text}");
    }
    let fine = [
        "",
        "4111111111111111",
        "1234567812345670",
        "order 1234-5678-1234-5670",
        "0111 1111 1111 1111",
        "9999 1111 1111 1111",
        "4111 1111 1111",
        "4111 1111 1111 111",
        "4111, 1111, 1111, 1111",
        "41111 1111 1111 1111",
        "3782 8224 6310 005",
        "3882 822463 10005",
        "4111 11 1111 1111 11",
        "DE89 3704 0044 0532 0130 00",
        "2026-11-29 12:28:29",
        "+49 30 1234 5678",
        "f81d4fae-7dec-1111-2222-00a0c91e6bf6",
        "b18c8632-2266-4668-8665-0967dbc38a39",
        "12345678-4266-4668-8665-096712345678",
        "DE12 5001 0517 0648 4898 90",
        "FR76 3000 6000 0112 3456 7890 189",
        "PL61 1090 1014 0000 0712 1981 2874",
        "ES91-2100-0418-4502-0005-1332",
        "6001 6002 6003 6004 6005 6006",
    ];
    for text in fine {
        assert!(!holds_card_number(text), "{text}");
    }
}

#[test]
fn k8_digits_that_may_be_a_cards_are_masked_and_everything_else_is_left_as_it_is() {
    let table = [
        ("order 4242424242424242 paid", "order 424242******4242 paid"),
        ("1234567812345670", "123456******5670"),
        ("ref=ord4111111111111111x", "ref=ord411111******1111x"),
        ("4111 1111 1111 1111", "4111 11** **** 1111"),
        ("378282246310005,4222222222222", "378282*****0005,422222***2222"),
        ("/cashier/webhook/4111111111111111/1", "/cashier/webhook/411111******1111/1"),
        ("6304000000000000 and 4111-1111-1111-1111", "630400******0000 and 4111-11**-****-1111"),
        ("４１１１ １１１１ １１１１ １１１１", "４１１１ １１** **** １１１１"),
        ("no. ٤١١١١١١١١١١١١١١١.", "no. ٤١١١١١******١١١١."),
        ("४१११११११११११११११", "४१११११******११११"),
        ("4１1१11111111११11", "4１1१11******११11"),
        ("/cashier/4111%201111%201111%201111", "/cashier/4111%2011**%20****%201111"),
        ("/cashier/4111%2D1111%2D1111%2D1111", "/cashier/4111%2D11**%2D****%2D1111"),
        ("/cashier/4111+1111+1111+1111", "/cashier/4111+11**+****+1111"),
        ("/cashier/%34111111111111111", "/cashier/%3411111******1111"),
        ("/cashier/4%2531111111%31%31111111/x", "/cashier/4%25311111******1111/x"),
        ("/%2F4111111111111111%zz%", "/%2F411111******1111%zz%"),
    ];
    for (text, expected) in table {
        assert_eq!(masked(text), expected);
    }
    let left = [
        "4242424242424241",
        "1779270000 2000009",
        "1779270000000",
        "42424242424242424242424242",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca4242424242424242",
        "424242424242",
        "",
    ];
    for text in left {
        assert_eq!(masked(text), text);
    }
}

#[test]
fn k8_a_field_is_card_data_by_its_name_and_its_value() {
    let card = [
        ("card_number", "4111111111111111"),
        ("cardNumber", "4111-1111-1111-1112"),
        ("pan", "123456789012"),
        ("PAN", "４１１１１１１１１１１１１１１１"),
        ("cvv", "987"),
        ("security_code", "1234"),
        ("card.csc", " 987 "),
        ("track2", ";4111111111111111=2512101?"),
        ("track_data", "%B4111111111111111^DOE/J^2512101?"),
        ("pin_block", "0412AC89ABCDEF67"),
    ];
    for (name, value) in card {
        assert!(CardField::named(name).is_some_and(|field| field.may_be(value)), "{name} {value}");
    }
    let fine = [
        ("security_code", "AAPL"),
        ("securityCode", "US0378331005"),
        ("security_code", ""),
        ("pan", "ABCDE1234F"),
        ("card_number", "411111******1111"),
        ("card_number", "1111"),
        ("card_number", "none"),
        ("cvv", "***"),
        ("cvv", "match"),
        ("cvv", "12"),
        ("track_data", "spring-campaign-2026"),
        ("pin_block", "x"),
    ];
    for (name, value) in fine {
        assert!(CardField::named(name).is_some_and(|field| !field.may_be(value)), "{name} {value}");
    }
}
