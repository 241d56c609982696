//! What happens to the log behind its back is noticed.

use serde_json::json;

use super::*;
use crate::sealing::{MasterKey, MasterKeys, Vault};
use crate::store::Options;

fn vault() -> Vault {
    Vault::new(MasterKeys::of(vec![MasterKey::from_bytes([1; 32])]).unwrap())
}

async fn filled(rows: u64) -> (tempfile::TempDir, Audit) {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open(&folder.path().join("pipe.db"), Options::SERVER).unwrap();
    let audit = Audit::open(database, &vault()).await.unwrap();
    for row in 0..rows {
        let actor = Actor { who: format!("user {}", row % 2), origin: "192.0.2.7".into() };
        let what = if row % 2 == 0 { "secret.set" } else { "run.cancel" };
        audit.record(Deed { actor, what, target: format!("row {row}"), detail: json!({ "row": row }) }).await.unwrap();
    }
    (folder, audit)
}

async fn execute(audit: &Audit, statement: &'static str) {
    audit.database.write_surely(move |transaction| transaction.execute_batch(statement)).await.unwrap();
}

#[tokio::test]
async fn rows_are_listed_and_hold_together() {
    let (_folder, audit) = filled(5).await;
    let all = audit.list(AuditFilter { limit: 100, ..AuditFilter::default() }).await.unwrap();
    assert_eq!(all.iter().map(|row| row.seq).collect::<Vec<_>>(), [5, 4, 3, 2, 1]);
    assert_eq!((all[0].detail.clone(), all[0].origin.as_str()), (json!({ "row": 4 }), "192.0.2.7"));
    let count = async |what: Option<&str>, who: Option<&str>, before| {
        let (what, who) = (what.map(str::to_owned), who.map(str::to_owned));
        audit.list(AuditFilter { what, who, before, limit: 100 }).await.unwrap().len()
    };
    assert_eq!(count(Some("secret.set"), None, None).await, 3);
    assert_eq!(count(Some("secret."), None, Some(5)).await, 2);
    assert_eq!(count(Some("secret"), None, None).await, 0);
    assert_eq!(count(None, Some("user 1"), None).await, 2);
    let checkpoint = audit.verify(None).await.unwrap();
    assert_eq!(checkpoint.count, 5);
    assert_eq!(checkpoint.to_string().parse(), Ok(checkpoint.clone()));
    assert!("5".parse::<Checkpoint>().is_err() && "5:xyz".parse::<Checkpoint>().is_err());
    let reopened = Audit::open(audit.database.clone(), &vault()).await.unwrap();
    assert_eq!(reopened.verify(Some(checkpoint)).await.unwrap().count, 5);
}

#[tokio::test]
async fn t06_changes_behind_its_back_are_noticed() {
    for (statement, reason) in [
        ("UPDATE audit SET who = 'nobody' WHERE seq = 3", "row 3 is not what was written"),
        ("UPDATE audit SET at = at + 1 WHERE seq = 1", "row 1 is not"),
        ("UPDATE audit SET who = who || what, what = '' WHERE seq = 2", "row 2 is not"),
        ("DELETE FROM audit WHERE seq = 2", "row 2 is missing"),
        ("DELETE FROM audit WHERE seq = 1", "row 1 is missing"),
        ("UPDATE audit SET hash = x'00' WHERE seq = 5", "row 5 is not"),
        ("DELETE FROM audit WHERE seq > 3", "it ends at row 3, but had 5 rows"),
        ("DELETE FROM audit", "it ends at row 0, but had 5 rows"),
    ] {
        let (_folder, audit) = filled(5).await;
        let anchor = audit.verify(None).await.unwrap();
        execute(&audit, statement).await;
        let error = audit.verify(Some(anchor)).await.unwrap_err().to_string();
        assert!(error.contains(reason), "{statement}: {error}");
    }
}

#[tokio::test]
async fn who_has_not_the_key_cannot_open_it() {
    let (_folder, audit) = filled(1).await;
    let other = Vault::new(MasterKeys::of(vec![MasterKey::from_bytes([2; 32])]).unwrap());
    assert!(matches!(Audit::open(audit.database.clone(), &other).await, Err(AuditError::Key(_))));
}

/// An attacker without the key cuts the log and writes it on, with hashes of his own: the rows cannot be made to fit, and
/// what was told before shows that some are gone.
#[tokio::test]
async fn t06_a_log_that_was_cut_does_not_fit_what_was_told() {
    let (_folder, audit) = filled(3).await;
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    let stop = tokio_util::sync::CancellationToken::new();
    let telling =
        tokio::spawn(audit.clone().tell_checkpoints(stop.clone(), move |now| sender.send(now.clone()).unwrap()));
    let first = told.recv().await.unwrap();
    assert_eq!(first, audit.verify(None).await.unwrap());
    for _ in 0..2 {
        let actor = Actor { who: "ada".into(), origin: "here".into() };
        audit.record(Deed { actor, what: "run.cancel", target: "run 1".into(), detail: json!({}) }).await.unwrap();
    }
    stop.cancel();
    telling.await.unwrap();
    let last = told.recv().await.unwrap();
    assert_eq!((last.count, told.recv().await), (5, None));
    execute(&audit, "DELETE FROM audit WHERE seq > 3").await;
    assert_eq!(audit.verify(None).await.unwrap(), first, "without a checkpoint it looks whole");
    assert!(audit.verify(Some(first)).await.is_ok());
    assert!(audit.verify(Some(last.clone())).await.unwrap_err().to_string().contains("it ends at row 3"));
    execute(&audit, "INSERT INTO audit SELECT seq + 1, at, who, origin, what, target, detail, randomblob(32) FROM audit WHERE seq = 3").await;
    assert!(audit.verify(Some(last)).await.unwrap_err().to_string().contains("row 4 is not what was written"));
}

/// Somebody who has the master key writes the whole log anew, with hashes that fit: the checkpoint shows it. Without the
/// signing key no checkpoint can be made that fits the new log.
#[tokio::test]
async fn a_log_that_was_stamped_anew_does_not_fit_a_signed_checkpoint() {
    let (_folder, audit) = filled(5).await;
    let (early, late) = {
        let now = Timestamp::now();
        let late = audit.signed_checkpoint(now).await.unwrap();
        let hashed = audit.hashed(0).await.unwrap();
        (audit.sign(&Checkpoint { count: 3, head: hashed[2].hash.clone() }, now), late)
    };
    let both = [early.clone(), late.clone()];
    assert_eq!(audit.verify_signed(&both).await.unwrap(), late.checkpoint());
    let text = format!("a line\n{early}\n{{}}\n{late}\n");
    assert_eq!(SignedCheckpoint::read_all(&text), both);
    let forger = audit.clone();
    let stamp = move |transaction: &rusqlite::Transaction<'_>| {
        transaction.execute("DELETE FROM audit WHERE seq > 1", [])?;
        for row in 0..4 {
            let actor = Actor { who: "nobody".into(), origin: "here".into() };
            let target = format!("row {row}");
            forger.append(transaction, &Deed { actor, what: "run.cancel", target, detail: json!({}) })?;
        }
        Ok(())
    };
    audit.database.write_surely(stamp).await.unwrap();
    assert_eq!(audit.verify(None).await.unwrap().count, 5, "the rows hold together");
    for checkpoint in &both {
        let error = audit.verify_signed(std::slice::from_ref(checkpoint)).await.unwrap_err().to_string();
        assert!(error.contains("is not the one of the checkpoint"), "{error}");
    }
    let mut forged = late.clone();
    forged.head = audit.checkpoint().await.unwrap().head;
    assert!(audit.verify_signed(&[forged]).await.unwrap_err().to_string().contains("not signed by its key"));
    let (_other_folder, other) = filled(5).await;
    let foreign = other.signed_checkpoint(Timestamp::now()).await.unwrap();
    assert!(foreign.is_signed());
    assert!(audit.verify_signed(&[foreign]).await.unwrap_err().to_string().contains("of another log"));
}

#[tokio::test]
async fn the_signing_key_stays_and_rows_come_with_their_hashes() {
    let (_folder, audit) = filled(3).await;
    let again = Audit::open(audit.database.clone(), &vault()).await.unwrap();
    assert_eq!(again.public_key(), audit.public_key());
    let rows = audit.hashed(1).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.entry.seq).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(rows[1].hash, audit.checkpoint().await.unwrap().head);
}
