//! A proxy in front of the server that people log in to: it says in headers who they are.

use std::net::IpAddr;

use ipnet::IpNet;
use taskscope_wire::Role;

use super::{Caller, Refused, Via, known::Known};

/// Which proxy is believed, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxy {
    /// Where it calls from.
    pub addresses: Vec<IpNet>,
    /// The header with the name, in lower case.
    pub name_header: String,
    /// The header with the role, in lower case, if the proxy says one.
    pub role_header: Option<String>,
    /// The role of those of whom neither the proxy nor an account says one; none keeps them out.
    pub default_role: Option<Role>,
}

/// What a request shows of a proxy.
#[derive(Debug, Clone)]
pub struct Proxied<'a> {
    /// Where it comes from.
    pub address: IpAddr,
    /// The name in the header.
    pub name: Option<&'a str>,
    /// The role in the header.
    pub role: Option<&'a str>,
}

impl TrustedProxy {
    /// Who asks: in the role that the proxy says, else that of the account of that name, else the default one.
    pub(super) fn caller(&self, proxied: &Proxied<'_>, known: &Known) -> Result<Caller, Refused> {
        // A dual-stack socket shows IPv4 addresses as IPv6 ones.
        let address = proxied.address.to_canonical();
        let is_trusted = self.addresses.iter().any(|net| net.contains(&address));
        let name = proxied.name.map(str::trim).filter(|name| is_trusted && !name.is_empty()).ok_or(Refused::Unknown)?;
        let account = known.account_named(name).map(|stored| &stored.account);
        if account.is_some_and(|account| account.disabled) {
            return Err(Refused::NotAllowed);
        }
        let said = proxied.role.map(|role| role.trim().parse::<Role>().map_err(|_| Refused::NotAllowed)).transpose()?;
        let role = said.or_else(|| account.map(|account| account.role)).or(self.default_role).ok_or(Refused::NotAllowed)?;
        Ok(Caller { name: Some(name.to_owned()), role, via: Via::Proxy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(address: &str, name: Option<&str>, role: Option<&str>, default_role: Option<Role>) -> Result<Role, Refused> {
        let proxy = TrustedProxy {
            addresses: vec!["127.0.0.0/8".parse().unwrap()],
            name_header: "remote-user".to_owned(),
            role_header: Some("remote-role".to_owned()),
            default_role,
        };
        let proxied = Proxied { address: address.parse().unwrap(), name, role };
        proxy.caller(&proxied, &Known::default()).map(|caller| caller.role)
    }

    #[test]
    fn only_the_proxy_is_believed_and_only_in_words_that_are_known() {
        let viewer = Some(Role::Viewer);
        assert_eq!(ask("127.0.0.1", Some("ann"), Some("admin"), viewer), Ok(Role::Admin));
        assert_eq!(ask("::ffff:127.0.0.1", Some("ann"), None, viewer), Ok(Role::Viewer));
        assert_eq!(ask("10.0.0.1", Some("ann"), Some("admin"), viewer), Err(Refused::Unknown));
        assert_eq!(ask("127.0.0.1", None, Some("admin"), viewer), Err(Refused::Unknown));
        assert_eq!(ask("127.0.0.1", Some(" "), Some("admin"), viewer), Err(Refused::Unknown));
        assert_eq!(ask("127.0.0.1", Some("ann"), Some("root"), viewer), Err(Refused::NotAllowed));
        assert_eq!(ask("127.0.0.1", Some("ann"), None, None), Err(Refused::NotAllowed));
    }
}
