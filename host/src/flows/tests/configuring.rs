//! Edits of configs while deposits come.

use cashier_core::edit::ConfigEdit;
use cashier_core::ids::{ConfigId, ManagerId};
use cashier_core::refusal::{Refusal, RefusalCode};
use cashier_core::session::{ManagerSession, Role};
use std::sync::Arc;
use std::time::Duration;

use super::world::{AMOUNT, World, paid};
use crate::flows::{Asking, configure};

fn save(world: &World, edit: ConfigEdit) -> impl Future<Output = Result<(), Refusal>> + Send + 'static {
    let house = Arc::clone(&world.house);
    let asking = Asking { request_id: "t".into(), ip: "".into(), locale: "".into() };
    let session = ManagerSession::assertion(ManagerId(1), Role::Admin, None);
    async move { configure::save_config(&house, session, edit, asking).await.map(drop) }
}

#[tokio::test(start_paused = true)]
async fn no_deposit_is_opened_under_a_config_whose_brand_is_being_changed() {
    let world = World::new().await;
    let edit = ConfigEdit { id: Some(ConfigId(1)), brand: Some("other".into()), ..ConfigEdit::default() };
    let edited = tokio::spawn(save(&world, edit));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.deposit("k").await.unwrap_err().code, RefusalCode::MethodNotAvailable);
    edited.await.unwrap().unwrap();
    assert_eq!(&*world.house.picture().config(ConfigId(1)).unwrap().config.brand, "other");
}

#[tokio::test(start_paused = true)]
async fn an_edit_of_the_ground_that_is_refused_leaves_the_config_serving() {
    let world = World::new().await;
    world.deposit("first").await.unwrap();
    let edit = ConfigEdit { id: Some(ConfigId(1)), brand: Some("other".into()), ..ConfigEdit::default() };
    assert_eq!(save(&world, edit).await.unwrap_err().code, RefusalCode::InvalidData);
    world.deposit("second").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_config_that_is_disabled_hears_of_its_old_money() {
    let world = World::new().await;
    let transaction = world.deposit("k").await.unwrap().transaction;
    let edit = ConfigEdit { id: Some(ConfigId(1)), enabled: Some(false), ..ConfigEdit::default() };
    save(&world, edit).await.unwrap();
    assert_eq!(world.deposit("new").await.unwrap_err().code, RefusalCode::MethodNotAvailable);
    world.notice(None, vec![paid("e1", &transaction.reference)]).await.unwrap();
    assert_eq!((world.status(transaction.id), world.trading.balance()), (3, AMOUNT));
}
