//! Makes RSA keys, which `ring` signs with but does not make.
//!
//! The crate that makes them has an open advisory for what it does beside that (RUSTSEC-2023-0071), so this is done here,
//! with nothing but arithmetic: random primes of 1024 bits (FIPS 186-5, A.1.3; Miller and Rabin's test with random bases),
//! and the private key in the form of RFC 8017, A.1.2. `ring` checks the numbers against each other when it reads the key.

use num_bigint::BigUint;
use zeroize::Zeroizing;

/// Bits of each prime: keys have 2048.
const PRIME_BYTES: usize = 128;
/// Rounds of the test. A random number of this size that is no prime passes one with a chance far below 2^-100 by then.
const ROUNDS: u32 = 20;
/// The public exponent.
const EXPONENT: u32 = 65_537;
/// Candidates are divided by all primes below this first.
const SMALL_MAX: u32 = 2_000;

/// A new private key.
///
/// # Errors
/// The system gives no random bytes.
pub(super) fn make() -> Result<Zeroizing<Vec<u8>>, getrandom::Error> {
    loop {
        let (a, b) = (prime()?, prime()?);
        if let Some(der) = key(&a, &b) {
            return Ok(der);
        }
    }
}

/// The key of two primes; `None` where they do not make one.
fn key(a: &BigUint, b: &BigUint) -> Option<Zeroizing<Vec<u8>>> {
    let one = BigUint::from(1_u8);
    let (p, q) = if a > b { (a, b) } else { (b, a) };
    // So close to each other that they could be guessed from their product (FIPS 186-5, A.1.3, 5.4).
    if (p - q).bits() <= (PRIME_BYTES as u64) * 8 - 100 {
        return None;
    }
    let (p1, q1) = (p - &one, q - &one);
    let e = BigUint::from(EXPONENT);
    let lambda = &p1 * &q1 / gcd(p1.clone(), q1.clone());
    let d = e.modinv(&lambda)?;
    let inverse = q.modinv(p)?;
    let numbers = [BigUint::from(0_u8), p * q, e, d.clone(), p.clone(), q.clone(), &d % &p1, &d % &q1, inverse];
    let mut body = Zeroizing::new(Vec::with_capacity(1_300));
    for number in numbers {
        integer(&mut body, &number);
    }
    let mut der = Zeroizing::new(Vec::with_capacity(1_300));
    head(&mut der, 0x30, body.len());
    der.extend_from_slice(&body);
    Some(der)
}

fn gcd(mut a: BigUint, mut b: BigUint) -> BigUint {
    let zero = BigUint::from(0_u8);
    while b != zero {
        (a, b) = (b.clone(), a % b);
    }
    a
}

fn integer(to: &mut Vec<u8>, number: &BigUint) {
    let bytes = Zeroizing::new(number.to_bytes_be());
    let pad = usize::from(bytes.first().is_none_or(|first| first & 0x80 != 0));
    let bytes: &[u8] = &bytes;
    head(to, 0x02, bytes.len() + pad);
    to.extend(std::iter::repeat_n(0, pad));
    to.extend_from_slice(bytes);
}

fn head(to: &mut Vec<u8>, tag: u8, length: usize) {
    to.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => to.push(short),
        Ok(one) => to.extend([0x81, one]),
        // No number of a key is longer than 65,535 bytes.
        Err(_) => to.extend([0x82, (length >> 8) as u8, (length & 0xff) as u8]),
    }
}

fn random(bytes: usize) -> Result<Zeroizing<Vec<u8>>, getrandom::Error> {
    let mut random = Zeroizing::new(vec![0; bytes]);
    getrandom::fill(&mut random)?;
    Ok(random)
}

fn prime() -> Result<BigUint, getrandom::Error> {
    let small = small_primes();
    loop {
        let mut bytes = random(PRIME_BYTES)?;
        // The two highest bits, so that the product has all its bits; odd.
        bytes[0] |= 0xc0;
        bytes[PRIME_BYTES - 1] |= 1;
        let candidate = BigUint::from_bytes_be(&bytes);
        let zero = BigUint::from(0_u8);
        let divided = small.iter().any(|prime| &candidate % *prime == zero);
        // Where the exponent divides p - 1 there is no inverse.
        let fits = &candidate % EXPONENT != BigUint::from(1_u8);
        if !divided && fits && is_prime(&candidate)? {
            return Ok(candidate);
        }
    }
}

fn small_primes() -> Vec<u32> {
    (3..SMALL_MAX).filter(|number| (2..*number).take_while(|d| d * d <= *number).all(|d| number % d != 0)).collect()
}

/// Miller and Rabin's test, for odd numbers above 3.
fn is_prime(number: &BigUint) -> Result<bool, getrandom::Error> {
    let one = BigUint::from(1_u8);
    let last = number - &one;
    let twos = last.trailing_zeros().unwrap_or(0);
    let odd = &last >> twos;
    'rounds: for _ in 0..ROUNDS {
        let base = BigUint::from_bytes_be(&random(PRIME_BYTES)?) % (number - 3_u8) + 2_u8;
        let mut power = base.modpow(&odd, number);
        if power == one || power == last {
            continue;
        }
        for _ in 1..twos {
            power = &power * &power % number;
            if power == last {
                continue 'rounds;
            }
        }
        return Ok(false);
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_told_from_others() {
        for (number, expect) in [
            (5_u64, true),
            (7, true),
            (9, false),
            // Carmichael's numbers, which Fermat's test takes for primes.
            (561, false),
            (1_105, false),
            (3_825_123_056_546_413_051, false),
            (18_446_744_073_709_551_557, true),
            (18_446_744_073_709_551_559, false),
        ] {
            assert_eq!(is_prime(&BigUint::from(number)).unwrap(), expect, "{number}");
        }
    }

    #[test]
    fn ring_takes_the_keys() {
        let der = make().unwrap();
        let key = ring::signature::RsaKeyPair::from_der(&der).unwrap();
        assert_eq!(key.public().modulus_len(), 256);
        assert!(make().unwrap() != der);
    }
}
