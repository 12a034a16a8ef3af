//! Long lists over HTTP: they are sent in pieces as their reader takes them, and what is not read is held within limits.

use cashier_core::deposit::DepositRequest;
use warp::Reply as _;

use super::*;
use crate::flows::{CUSTOMER_LISTS_MAX, ListReader, transactions};
use crate::manager::transaction_list;
use crate::test_cashier::{CUSTOMER, deposit_request};

const ROWS: u64 = 120;

/// A customer with so many rows that take more than a whole answer may.
async fn with_long_rows() -> CustomerApi {
    let env = TestCashier::new().await;
    let metadata_json: Box<str> = format!(r#"{{"note":"{}"}}"#, "x".repeat(4_000)).into();
    let deposits = (0..ROWS).map(|n| {
        let request = deposit_request(&format!("k{n}"));
        env.deposit_as(DepositRequest { metadata_json: metadata_json.clone(), ..request })
    });
    assert!(futures_util::future::join_all(deposits).await.iter().all(Result::is_ok));
    let keys = Arc::new(SessionKeys::new(vec![SessionKey::new("k", &[7; 32]).unwrap()]).unwrap());
    let routes = crate::http::customer_routes(&env.cashier, &keys, &[]);
    let listener = TestListener::open(routes, Arc::clone(&env.clock)).await;
    CustomerApi { env, listener, keys }
}

#[tokio::test]
async fn b2_a_long_list_is_sent_in_pieces_and_reads_as_one_answer() {
    let api = with_long_rows().await;
    let whole = api.send("GET /cashier/transactions?limit=10", "").await;
    assert!(whole.header("content-length").is_some() && whole.header("transfer-encoding").is_none(), "{}", whole.head);
    let pieces = api.send("GET /cashier/transactions?limit=1000", "").await;
    assert_eq!((pieces.status, pieces.header("transfer-encoding")), (200, Some("chunked")));
    assert_eq!(pieces.header("content-type"), Some("application/json"));
    let ids = |response: &ReceivedResponse| -> Vec<u64> {
        response.json()["rows"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect()
    };
    let newest_first: Vec<u64> = (1..=ROWS).rev().collect();
    assert_eq!((ids(&pieces), &pieces.json()["count"]), (newest_first.clone(), &json!(ROWS)));
    assert_eq!((ids(&whole), &whole.json()["count"]), (newest_first[..10].to_vec(), &json!(ROWS)));
    assert_eq!(pieces.json()["rows"][0]["metadata_json"].as_str().unwrap().len(), 4_000 + 11);
    let none = api.send("GET /cashier/transactions?where[0][0]=id&where[0][1]=%3E&where[0][2]=5000", "").await;
    assert_eq!((ids(&none), none.json()["count"].as_u64()), (Vec::new(), Some(0)));
}

#[tokio::test]
async fn b2_of_forty_answers_that_nobody_reads_two_are_held_until_their_connections_end() {
    let api = with_long_rows().await;
    let scope = cashier_core::books::Scope { customer: Some(CUSTOMER), brand: None };
    let answer = async |limit: &str| {
        let mut filter = cashier_core::filter::FilterBuilder::new();
        filter.limit(limit).unwrap();
        let reader = ListReader::Customer(CUSTOMER);
        let page = transactions::list(&api.env.cashier, reader, &scope, filter.build()).await?;
        Ok::<_, Refusal>(Reply::json(200, transaction_list::listing(page).await?).into_response())
    };
    // Short ones count too: they are held until they are written.
    for limit in ["1000", "10"] {
        let answers = futures_util::future::join_all((0..40).map(|_| answer(limit))).await;
        let (held, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!((held.len(), refused.len()), (CUSTOMER_LISTS_MAX, 40 - CUSTOMER_LISTS_MAX), "{limit}");
        let refusal = refused.into_iter().find_map(Result::err).unwrap();
        assert!(refusal.code.number() == 429 && refusal.message.starts_with("2 lists"), "{refusal}");
        drop(held);
        assert!(answer(limit).await.is_ok(), "{limit}");
    }
}

#[tokio::test]
async fn i10_a_customer_gets_a_list_as_csv_and_may_not_filter_by_the_fields_of_managers() {
    let api = with_long_rows().await;
    let head = api.token(Role::Customer, 5, None) + "accept: text/csv\r\n";
    let csv = api.listener.send("GET /cashier/transactions?limit=1000", &head, "").await;
    assert_eq!((csv.status, csv.header("content-type")), (200, Some("text/csv; charset=utf-8; header=present")));
    let lines: Vec<&str> = csv.body.split_terminator("\r\n").collect();
    assert_eq!(lines.len() as u64, ROWS + 1);
    assert!(
        lines[0].starts_with("id,customer_id,login,type,provider,") && lines[1].starts_with("120,5,"),
        "{}",
        lines[1]
    );
    for field in
        ["reference", "amount", "brand", "provider_config_id", "idempotency_key", "failure_reason", "updated_time"]
    {
        let path = format!("GET /cashier/transactions?where[0][0]={field}&where[0][1]==&where[0][2]=1");
        let refused = api.listener.send(&path, &head, "").await;
        assert_eq!((refused.status, refused.header("content-type")), (400, Some("application/json")), "{field}");
        assert_eq!(refused.json()["message"], format!("where: field \"{field}\" is not known"));
    }
}
