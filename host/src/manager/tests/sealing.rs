//! Secrets that are wiped by name, and what managers see of deleted configs and of what does not open.

use cashier_core::approval::APPROVAL_SECONDS;
use cashier_core::ids::{ApprovalId, ConfigId};
use cashier_core::provider_config::{ProviderConfig, UnreadableColumn};

use super::*;
use crate::test_cashier::config;

const UPDATE: &str = "MngUpdateCashierProviderConfig";
const DELETE: &str = "MngDeleteCashierProviderConfig";
const LIST: &str = "MngGetCashierProviderConfigsByFilter";
const PROVIDERS: &str = "MngGetCashierProviders";
const APPROVE: &str = "MngApproveCashierChange";
const WIPE: &str = r#"{"id":1,"wipe":["webhook_secret"]}"#;
const RENEW: &str = r#"{"id":1,"webhook_secret":"CANARY-2"}"#;

impl ManagerApi {
    fn secret(&self) -> String {
        self.env.cashier.snapshot().config(ConfigId(1)).unwrap().config.webhook_secret.expose().to_owned()
    }

    fn request_of(&self, approval: &Value) -> String {
        let id = ApprovalId(approval["approval"]["id"].as_u64().unwrap());
        self.env.cashier.snapshot().approval(id).unwrap().request.expose().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn k1_a_secret_is_wiped_by_one_person_and_a_new_one_takes_two() {
    let api = ManagerApi::with_second_person().await;
    let (number, wiped) = api.command("dealer#7", UPDATE, WIPE).await;
    assert_eq!((number, &*api.secret()), (200, ""), "a leaked secret ends at once: {wiped}");
    let with_more = r#"{"id":1,"wipe":["secret_key"],"public_key":"pk_2"}"#;
    assert_eq!(api.command("dealer#7", UPDATE, with_more).await.0, 202, "what else it changes waits with it");
    let (number, asked) = api.command("dealer#7", UPDATE, RENEW).await;
    assert_eq!((number, &asked["approval"]["fields"]), (202, &json!(["webhook_secret"])));
    assert_eq!(api.secret(), "");
}

#[tokio::test(start_paused = true)]
async fn k1_a_decided_approval_keeps_no_request() {
    let api = ManagerApi::with_second_person().await;
    let (number, asked) = api.command("dealer#7", UPDATE, RENEW).await;
    assert_eq!((number, &asked["approval"]["fields"]), (202, &json!(["webhook_secret", "replaced_webhook_secrets"])));
    assert!(api.secret() != "CANARY-2" && api.request_of(&asked).contains("CANARY-2"));
    let by_id = format!(r#"{{"id":{}}}"#, asked["approval"]["id"]);
    assert_eq!(api.command("manager#8", APPROVE, &by_id).await.0, 200);
    assert!(api.secret() == "CANARY-2" && api.request_of(&asked).is_empty());
    assert_eq!(api.error("manager#9", APPROVE, &by_id).await, (409, "RET_ERR_DUPLICATE".into()));
}

#[tokio::test(start_paused = true)]
async fn k1_the_request_of_an_expired_approval_is_wiped() {
    let mut env = TestCashier::new().await;
    env.ask_for_second_person(SecondPerson::from_names(SecondPerson::NAMES).unwrap()).await;
    let context = ManagerContext { cashier: Arc::clone(&env.cashier), tokens: Arc::new(PlainTokens) };
    let api = ManagerApi { env, context };
    let (number, asked) = api.command("dealer#7", UPDATE, RENEW).await;
    assert_eq!(number, 202);
    api.env.run_for(60).await;
    assert!(!api.request_of(&asked).is_empty(), "it is open");
    api.env.clock.jump(APPROVAL_SECONDS);
    api.env.clock.accept();
    api.env.run_for(60).await;
    assert!(api.request_of(&asked).is_empty(), "nobody can approve it any more");
}

#[tokio::test(start_paused = true)]
async fn k1_managers_see_what_does_not_open_and_what_was_deleted() {
    let why = "sealed with key 1, which is not in the key ring".into();
    let lost = UnreadableColumn {
        column: "webhook_secret",
        sealed: Box::from(*b"sealed"),
        holds_text: true,
        had_key: false,
        why,
    };
    let env = TestCashier::with_rows(vec![ProviderConfig { unreadable: vec![lost], ..config(1) }, config(2)]).await;
    let context = ManagerContext { cashier: Arc::clone(&env.cashier), tokens: Arc::new(PlainTokens) };
    let api = ManagerApi { env, context };
    for command in [LIST, PROVIDERS] {
        let (_, listed) = api.command("manager", command, r#"{"orderBy":[["id","asc"]]}"#).await;
        let seen =
            |row: usize| (listed["rows"][row]["unreadable"].clone(), listed["rows"][row]["deleted_time"].clone());
        assert_eq!((seen(0), seen(1)), ((json!(["webhook_secret"]), json!(0)), (json!([]), json!(0))), "{command}");
    }
    assert_eq!(api.error("manager", UPDATE, r#"{"id":1}"#).await, (400, "INVALID_DATA".into()));
    assert_eq!(api.command("manager", DELETE, r#"{"id":1}"#).await.0, 200);
    let (_, listed) = api.command("manager", LIST, r#"{"where":[["id","=",1]]}"#).await;
    assert_eq!(listed["rows"][0]["deleted_time"], json!(api.env.cashier.clock.now().0));
    assert_eq!(listed["rows"][0]["unreadable"], json!(["webhook_secret"]), "the stored bytes stay");
}
