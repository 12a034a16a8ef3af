//! One customer's texts are erased from every file of the database, and from nothing else.

use cashier_core::change::{Change, OrderDetails};
use cashier_core::ids::{CustomerId, NoticeId, TransactionId};
use cashier_core::notice::ProviderEvent;
use cashier_core::status::{ProcessingStatus, TransactionStatus};
use cashier_core::texts::Texts;

use super::super::archive::ArchiveReader;
use super::super::erasure::{Erased, ErasureOrder, erase};
use super::super::{audit, image};
use super::*;
use crate::ports::{Archive, Recorder};

const CUSTOMER: CustomerId = CustomerId(5);

/// A word of what a customer wrote, was shown and was reported by a provider; found in the files by its bytes.
fn canary(of: &str, customer: u64) -> String {
    format!("canary-{of}-of-{customer}")
}

fn row(id: u64, customer: u64, status: TransactionStatus) -> Change {
    let customer_id = CustomerId(customer);
    Change::Transaction(Box::new(Transaction {
        customer_id,
        status,
        has_texts: true,
        stored_bytes: 90,
        ..plain::deposit(id)
    }))
}

/// A transaction with everything that is stored beside it, and a webhook about it.
fn made(id: u64, customer: u64, status: TransactionStatus) -> Arc<Commit> {
    with_event(id, customer, status, ProcessingStatus::Processed)
}

fn with_event(id: u64, customer: u64, status: TransactionStatus, processing_status: ProcessingStatus) -> Arc<Commit> {
    let transaction_id = TransactionId(id);
    let url = |of: &str| format!("https://shop.example/{}", canary(of, customer)).into();
    let texts = Texts {
        comment: canary("comment", customer).into(),
        metadata_json: format!(r#"{{"note":"{}"}}"#, canary("metadata", customer).repeat(200)).into(),
    };
    let details = OrderDetails {
        notify_url: "https://cashier.example/n".into(),
        success_url: url("success"),
        failure_url: url("failure"),
        locale: "de".into(),
        ip: canary("ip", customer).into(),
        nonce: 7,
        terms_version: 1,
    };
    let event = ProviderEvent { transaction_id, processing_status, ..plain::confirmation(id) };
    commit(
        id,
        vec![row(id, customer, status), Change::Event(Box::new(event))],
        vec![
            Body::Texts { transaction_id, texts },
            Body::Order { transaction_id, details },
            Body::Answer {
                transaction_id,
                redirect_url: url("page"),
                instructions_json: format!(r#"{{"iban":"{}"}}"#, canary("iban", customer)).into(),
            },
            plain::notice(id, canary("body", customer).as_bytes()),
        ],
    )
}

fn order(path: &Path) -> ErasureOrder<'_> {
    ErasureOrder { database: path, customer: CUSTOMER, by: "command line, user 7", now: UnixTime(1_800_000_000) }
}

fn erased(path: &Path) -> Result<Erased, Fault> {
    erase(&order(path), SealKeys::parse(RING).unwrap(), Arc::new(CountingEntropy::default()))
}

/// Which of these words the files of the folder have anywhere.
fn found(folder: &Path, customer: u64) -> Vec<String> {
    let names = ["comment", "metadata", "success", "failure", "ip", "page", "iban", "body"];
    let files: Vec<Vec<u8>> = std::fs::read_dir(folder.join("bases"))
        .unwrap()
        .map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    let has = |word: &str| files.iter().any(|bytes| bytes.windows(word.len()).any(|part| part == word.as_bytes()));
    names.map(|of| canary(of, customer)).into_iter().filter(|word| has(word)).collect()
}

#[test]
fn a_customers_texts_are_in_no_file_afterwards_and_anothers_are_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let path = strand.path().to_owned();
    strand.submit(made(1, 5, TransactionStatus::Created));
    strand.submit(made(2, 6, TransactionStatus::Credited));
    // Written again, so that free pages hold the first state.
    strand.submit(commit(3, vec![row(1, 5, TransactionStatus::Credited)], Vec::new()));
    listener.wait_for_synced(3);
    assert_eq!((found(folder.path(), 5).len(), found(folder.path(), 6).len()), (8, 8));
    let refused = erased(&path).unwrap_err().to_string();
    assert!(refused.contains("the database is in use"), "{refused}");
    drop(strand);
    let before = Rows::stored(&path);
    std::fs::write(image::path_of(&path), canary("comment", 5)).unwrap();

    let done = erased(&path).unwrap();
    let expected = Erased { transactions: 1, texts: 1, answers: 1, orders: 1, notices: 1, ..Erased::default() };
    assert_eq!(done, expected);
    assert_eq!(found(folder.path(), 5), Vec::<String>::new());
    assert_eq!(found(folder.path(), 6).len(), 8);
    assert!(!image::path_of(&path).exists());

    let after = Rows::stored(&path);
    assert_eq!(after.counters.seq, before.counters.seq + 1, "it is a commit of its own");
    for (before, after) in before.rows.iter().zip(&after.rows) {
        match (before, after) {
            (Change::Transaction(before), Change::Transaction(after)) if before.customer_id == CUSTOMER => {
                let expected = Transaction { has_texts: false, stored_bytes: 0, ..(**before).clone() };
                assert_eq!(**after, expected, "the row of the money stays");
            }
            _ => assert_eq!(after, before),
        }
    }
    let (strand, _listener) = opened(folder.path());
    let reader = ArchiveReader::open(strand.path()).unwrap();
    assert!(block_on(reader.texts(&[TransactionId(1)])).unwrap().is_empty());
    assert_eq!(block_on(reader.texts(&[TransactionId(2)])).unwrap().len(), 1);
    assert_eq!(block_on(reader.notice(NoticeId(1))).unwrap(), None);
    assert!(block_on(reader.notice(NoticeId(2))).unwrap().is_some());
}

#[test]
fn an_erasure_is_in_the_chain_of_audit_records_with_who_when_and_what() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let path = strand.path().to_owned();
    strand.submit(made(1, 5, TransactionStatus::Credited));
    listener.wait_for_synced(1);
    drop(strand);
    erased(&path).unwrap();
    erased(&path).unwrap();
    assert_eq!(audit::verify(&path, None).unwrap().records, 2, "a second run is recorded too");
    let connection = connect_read_only(&path).unwrap();
    let sql = "SELECT at, role, address, command, outcome, changes_json FROM audit_record ORDER BY id LIMIT 1";
    let record = connection.query_row(sql, [], |row| {
        let text = |index| row.get::<_, String>(index);
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, text(2)?, text(3)?, text(4)?, text(5)?))
    });
    let changes = r#"[["customer_id","5","5"],["texts","1","0"],["answers","1","0"],["orders","1","0"],["webhook_bodies","1","0"],["override_comments","0","0"],["request_ids","0","0"]]"#;
    let expected = (1_800_000_000, 4, "command line, user 7", "cashier customer erase", "erased", changes);
    let (at, role, by, command, outcome, changes) = record.unwrap();
    assert_eq!((at, role, &*by, &*command, &*outcome, &*changes), expected);
}

#[test]
fn the_ids_that_a_customer_chose_for_requests_are_erased_and_a_second_run_finds_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let path = strand.path().to_owned();
    for (seq, customer) in [(1, 5), (2, 6), (3, 5)] {
        let actor = Actor::Customer(CustomerId(customer));
        let request_id = canary("request", customer).into();
        let made = made(seq, customer, TransactionStatus::Credited);
        strand.submit(Arc::new(Commit { actor, request_id, ..Commit::clone(&made) }));
    }
    listener.wait_for_synced(3);
    drop(strand);
    let files = || -> Vec<u8> {
        let files = std::fs::read_dir(folder.path().join("bases")).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    };
    let has = |customer| {
        let word = canary("request", customer);
        files().windows(word.len()).any(|part| part == word.as_bytes())
    };
    assert!(has(5) && has(6));
    let first = erased(&path).unwrap();
    assert_eq!((first.requests, first.is_nothing()), (2, false));
    assert!(!has(5) && has(6));
    let second = erased(&path).unwrap();
    assert_eq!((second.transactions, second.is_nothing()), (2, true));
}

#[test]
fn a_deposit_that_is_not_paid_keeps_its_texts_until_it_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let path = strand.path().to_owned();
    strand.submit(made(1, 5, TransactionStatus::PendingPayment));
    listener.wait_for_synced(1);
    drop(strand);
    assert_eq!(erased(&path).unwrap(), Erased { open: 1, ..Erased::default() });
    assert_eq!(found(folder.path(), 5).len(), 8);
    let (strand, listener) = opened(folder.path());
    strand.submit(commit(3, vec![row(1, 5, TransactionStatus::Cancelled)], Vec::new()));
    listener.wait_for_synced(3);
    drop(strand);
    assert_eq!(erased(&path).unwrap().texts, 1);
    assert_eq!(found(folder.path(), 5), Vec::<String>::new());
}

#[test]
fn what_a_person_decides_by_stays_until_the_transaction_has_ended() {
    for status in TransactionStatus::ALL.iter().filter(|status| !status.is_final()) {
        let folder = tempfile::tempdir().unwrap();
        let (strand, listener) = opened(folder.path());
        let path = strand.path().to_owned();
        // A withdrawal that waits: where it is paid to stands in its texts alone.
        strand.submit(made(1, 5, *status));
        strand.submit(made(2, 5, TransactionStatus::Credited));
        listener.wait_for_synced(2);
        drop(strand);
        let done = erased(&path).unwrap();
        assert_eq!((done.open, done.transactions, done.texts, done.notices), (1, 1, 1, 1), "{status:?}");
        assert_eq!(found(folder.path(), 5).len(), 8, "{status:?}");
    }
}

#[test]
fn a_webhook_about_several_customers_stays_while_one_of_their_transactions_has_not_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let path = strand.path().to_owned();
    strand.submit(made(1, 5, TransactionStatus::Credited));
    let of_another = ProviderEvent { transaction_id: TransactionId(2), ..plain::confirmation(2) };
    let shared = ProviderEvent { notice_id: NoticeId(1), ..of_another };
    let changes = vec![row(2, 6, TransactionStatus::ManualReview), Change::Event(Box::new(shared))];
    strand.submit(commit(2, changes, Vec::new()));
    listener.wait_for_synced(2);
    drop(strand);
    let done = erased(&path).unwrap();
    assert_eq!((done.texts, done.notices, done.waiting), (1, 0, 1));
    assert_eq!(found(folder.path(), 5), [canary("body", 5)]);
}

#[test]
fn a_webhook_that_is_still_to_be_read_stays_and_an_overrides_comment_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (strand, listener) = opened(folder.path());
    let path = strand.path().to_owned();
    strand.submit(with_event(1, 5, TransactionStatus::Credited, ProcessingStatus::Pending));
    listener.wait_for_synced(1);
    drop(strand);
    let connection = super::super::connection::connect(&path).unwrap();
    for (id, customer) in [(1, 5), (2, 6)] {
        let row = format!(
            "INSERT INTO customer_override VALUES ({id},{customer},'',0,'','',0,0,0,1,'VIP','by phone with {}',0,1,1)",
            canary("comment", customer)
        );
        connection.execute_batch(&row).unwrap();
    }
    drop(connection);
    let done = erased(&path).unwrap();
    assert_eq!((done.notices, done.waiting, done.texts, done.overrides), (0, 1, 1, 1));
    assert_eq!(found(folder.path(), 5), [canary("body", 5)]);
    assert_eq!(found(folder.path(), 6), [canary("comment", 6)]);
}

#[cfg(unix)]
#[test]
fn k6_no_command_follows_a_link_in_place_of_the_database() {
    use super::super::backup::{DatabaseSnapshot, WriteHold};
    use super::super::reseal::unreadable_rows;
    let ring = Arc::new(SealRing::new(SealKeys::parse(RING).unwrap()));
    let parent = tempfile::tempdir().unwrap();
    let (target, folder) = (parent.path().join("target"), parent.path().join("bases"));
    std::fs::create_dir_all(&target).unwrap();
    let (strand, _listener) = opened(&target);
    let real = strand.path().to_owned();
    drop(strand);
    std::fs::create_dir(&folder).unwrap();
    let database = folder.join("cashier.db");
    let before = std::fs::read(&real).unwrap();
    let refused = || {
        [
            erased(&database).err(),
            super::super::connection::connect(&database).err(),
            image::state(&database).err(),
            WriteHold::take(&database).err(),
            DatabaseSnapshot::begin(&database).err(),
            audit::verify(&database, None).err(),
            unreadable_rows(&database, &ring, Arc::new(CountingEntropy::default())).err(),
            open(settings(parent.path()), Arc::new(TestListener::default())).err(),
        ]
    };
    for hard in [true, false] {
        let link = if hard { std::fs::hard_link } else { std::os::unix::fs::symlink::<&Path, &Path> };
        link(&real, &database).unwrap();
        let expected = if hard { "it is a hard link: the file has another name too" } else { "it is a symbolic link" };
        for (index, refused) in refused().into_iter().enumerate() {
            let what = refused.unwrap().what;
            assert!(what.contains(expected), "{index}: {what}");
        }
        assert_eq!(std::fs::read(&real).unwrap(), before);
        std::fs::remove_file(&database).unwrap();
    }
    std::os::unix::fs::symlink(&real, &database).unwrap();
    // A link in the path of the folder is the operator's.
    let linked = parent.path().join("linked");
    std::os::unix::fs::symlink(real.parent().unwrap(), &linked).unwrap();
    erased(&linked.join("cashier.db")).unwrap();
    // SQLite itself refuses one that is put there after the question.
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE | rusqlite::OpenFlags::SQLITE_OPEN_NOFOLLOW;
    assert!(rusqlite::Connection::open_with_flags(&database, flags).is_err());
}
