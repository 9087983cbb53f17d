// An OpenID provider of others, as a process: oidc-provider with its own pages for people to log in and to agree.
// Arguments: its port, the client's secret, and where people are sent back to.
import { Provider } from 'oidc-provider';

const [port, secret, callback] = process.argv.slice(2);

/** Any password will do; who somebody is says what they may do. */
const GROUPS = { ann: ['staff', 'ops'], root: ['admins'], mallory: ['ADMINS', 'admins.evil'] };

const provider = new Provider(`http://localhost:${port}`, {
  clients: [{ client_id: 'taskscope', client_secret: secret, redirect_uris: [callback] }],
  scopes: ['openid', 'profile', 'email', 'groups'],
  claims: { email: ['email', 'email_verified'], profile: ['preferred_username'], groups: ['groups'] },
  cookies: { keys: ['of a test'] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, preferred_username: id, email: `${id}@example.com`, email_verified: true, groups: GROUPS[id] ?? [] }),
  }),
});

provider.listen(Number(port), 'localhost', () => console.log(`listening on ${port}`));
