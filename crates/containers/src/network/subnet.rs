//! Subnets: which are taken, and which are tried.

use std::{net::Ipv4Addr, str::FromStr};

/// A range of addresses: `172.18.0.0/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

impl Subnet {
    /// The subnet of this prefix that `address` is in.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        (prefix <= 32).then(|| Self {
            base: u32::from(address) & mask(prefix),
            prefix,
        })
    }

    /// How many addresses it has.
    fn size(self) -> u64 {
        1 << (32 - u32::from(self.prefix))
    }

    /// The address of this number, from 0 on.
    pub fn address(&self, number: u32) -> Option<Ipv4Addr> {
        (u64::from(number) < self.size()).then(|| Ipv4Addr::from(self.base + number))
    }

    /// Whether `address` is in it.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == self.base
    }

    /// Whether they have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let shorter = mask(self.prefix.min(other.prefix));
        self.base & shorter == other.base & shorter
    }

    /// Its two halves, where it is large enough to be shared so.
    pub(crate) fn halves(&self) -> Option<(Self, Self)> {
        let prefix = self.prefix + 1;
        (prefix <= 28).then(|| {
            let half = |base| Self { base, prefix };
            let middle = self.base | (1 << (32 - u32::from(prefix)));
            (half(self.base), half(middle))
        })
    }

    /// The subnets of this prefix in it.
    fn parts(self, prefix: u8) -> impl Iterator<Item = Self> {
        let count = match prefix {
            ..=32 if prefix >= self.prefix => 1_u64 << (prefix - self.prefix),
            _ => 0,
        };
        // Enough to find a free one, however large the pool is.
        (0..count.min(4096)).map(move |number| Self {
            base: self.base + ((number as u32) << (32 - u32::from(prefix))),
            prefix,
        })
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl std::fmt::Display for Subnet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

/// The text isn't an IPv4 subnet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} isn't an IPv4 subnet")]
pub struct NotASubnet(String);

impl FromStr for Subnet {
    type Err = NotASubnet;

    fn from_str(text: &str) -> Result<Self, NotASubnet> {
        text.split_once('/')
            .and_then(|(address, prefix)| Self::new(address.parse().ok()?, prefix.parse().ok()?))
            .ok_or_else(|| NotASubnet(text.to_owned()))
    }
}

/// What the Engine takes subnets from where nothing else is configured: pool, prefix of each.
const ENGINE_POOLS: [(&str, u8); 6] = [
    ("172.17.0.0/16", 16),
    ("172.18.0.0/16", 16),
    ("172.19.0.0/16", 16),
    ("172.20.0.0/14", 16),
    ("172.24.0.0/13", 16),
    ("192.168.0.0/16", 20),
];
/// And where those are full.
const OWN_POOL: (&str, u8) = ("10.209.0.0/16", 24);

/// The subnets to try, in order. `configured`: the Engine's pools, where its owner set some.
pub(super) fn candidates(configured: &[(String, u8)]) -> Vec<Subnet> {
    let split = |pool: &str, prefix: u8| {
        let pool = pool.parse::<Subnet>().ok();
        pool.into_iter().flat_map(move |pool| pool.parts(prefix))
    };
    let mut found: Vec<Subnet> = if configured.is_empty() {
        let pools = ENGINE_POOLS.iter();
        pools
            .flat_map(|(pool, prefix)| split(pool, *prefix))
            .collect()
    } else {
        let pools = configured.iter();
        pools
            .flat_map(|(pool, prefix)| split(pool, *prefix))
            .collect()
    };
    found.extend(split(OWN_POOL.0, OWN_POOL.1));
    found
}

/// The subnets that this machine has routes to, from `/proc/net/route`; not the default route.
pub(super) fn of_routes(table: &str) -> Vec<Subnet> {
    // Numbers as they lie in memory on a little-endian machine.
    let number = |text: &str| Some(u32::from_str_radix(text, 16).ok()?.swap_bytes());
    table
        .lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let mask = number(fields.get(7)?)?;
            let prefix = u8::try_from(mask.leading_ones()).ok()?;
            Subnet::new(Ipv4Addr::from(number(fields.get(1)?)?), prefix)
        })
        .filter(|subnet| subnet.prefix > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn subnets_are_read_and_written() {
        assert_eq!(subnet("172.18.3.4/16").to_string(), "172.18.0.0/16");
        assert_eq!(subnet("0.0.0.0/0").to_string(), "0.0.0.0/0");
        for wrong in ["", "1.2.3.4", "1.2.3.4/33", "fd00::/64", "1.2.3/8"] {
            assert!(wrong.parse::<Subnet>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn those_that_share_an_address_overlap() {
        let overlap = |a: &str, b: &str| subnet(a).overlaps(&subnet(b));
        assert!(overlap("10.0.0.0/8", "10.209.4.0/24"));
        assert!(overlap("10.209.4.0/24", "10.0.0.0/8"));
        assert!(overlap("10.1.0.0/16", "0.0.0.0/0"));
        assert!(!overlap("10.209.4.0/24", "10.209.5.0/24"));
        assert!(!overlap("172.17.0.0/16", "172.18.0.0/16"));
    }

    #[test]
    fn half_is_for_fixed_addresses() {
        let (fixed, chosen) = subnet("10.209.4.0/24").halves().unwrap();
        assert_eq!(fixed.to_string(), "10.209.4.0/25");
        assert_eq!(chosen.to_string(), "10.209.4.128/25");
        assert_eq!(fixed.address(127).unwrap().to_string(), "10.209.4.127");
        assert_eq!(fixed.address(128), None);
        assert!(fixed.contains(Ipv4Addr::new(10, 209, 4, 2)));
        assert!(!fixed.contains(Ipv4Addr::new(10, 209, 4, 130)));
        assert_eq!(subnet("10.0.0.0/30").halves(), None);
    }

    #[test]
    fn the_engines_subnets_come_first_then_our_own() {
        let usual = candidates(&[]);
        assert_eq!(usual[0].to_string(), "172.17.0.0/16");
        assert_eq!(usual[14].to_string(), "172.31.0.0/16");
        assert_eq!(usual[15].to_string(), "192.168.0.0/20");
        assert_eq!(usual[31].to_string(), "10.209.0.0/24");
        assert_eq!(usual.len(), 15 + 16 + 256);
        let set = candidates(&[("10.7.0.0/23".to_owned(), 24), ("nonsense".to_owned(), 24)]);
        let first: Vec<String> = set.iter().take(3).map(ToString::to_string).collect();
        assert_eq!(first, ["10.7.0.0/24", "10.7.1.0/24", "10.209.0.0/24"]);
    }

    #[test]
    fn routes_are_taken_and_the_default_route_is_not() {
        let table = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\n\
            eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
            eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
            docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
        let found: Vec<String> = of_routes(table).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.168.2.0/24", "172.17.0.0/16"]);
    }
}
