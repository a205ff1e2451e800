package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1" // it names a file, as the SDK has it
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"encoding/xml"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/nbhush/nbhush/agent/provider"
	"github.com/nbhush/nbhush/agent/provider/peers"
)

// account is Moto with a user and the role reader, which may read, and the role
// other, which is nobody's. Signatures and rights are checked.
type account struct {
	address string // of everything but STS
	sts     string // of STS alone
	id, key string // of the user
	sdk     sdk.Config
}

const (
	awsRegion = "eu-central-1"
	awsRole   = "arn:aws:iam::123456789012:role/"
)

var awsAccount = sync.OnceValues(func() (account, error) {
	moto, err := moto()
	if err != nil {
		return account{}, err
	}
	rights := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["secretsmanager:*","ssm:*","sts:*"],"Resource":"*"}]}`
	trust := func(user string) string {
		return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::123456789012:user/` + user + `"},"Action":"sts:AssumeRole"}]}`
	}
	var made struct {
		ID  string `xml:"CreateAccessKeyResult>AccessKey>AccessKeyId"`
		Key string `xml:"CreateAccessKeyResult>AccessKey>SecretAccessKey"`
	}
	for _, form := range []url.Values{
		{"Action": {"CreateUser"}, "UserName": {"nb"}},
		{"Action": {"PutUserPolicy"}, "UserName": {"nb"}, "PolicyName": {"p"}, "PolicyDocument": {rights}},
		{"Action": {"CreateRole"}, "RoleName": {"reader"}, "AssumeRolePolicyDocument": {trust("nb")}},
		{"Action": {"PutRolePolicy"}, "RoleName": {"reader"}, "PolicyName": {"p"}, "PolicyDocument": {rights}},
		{"Action": {"CreateRole"}, "RoleName": {"other"}, "AssumeRolePolicyDocument": {trust("other")}},
		{"Action": {"CreateAccessKey"}, "UserName": {"nb"}},
	} {
		b, err := send(moto.Address, "application/x-www-form-urlencoded", form.Encode())
		if err != nil {
			return account{}, err
		}
		if err := xml.Unmarshal(b, &made); err != nil {
			return account{}, err
		}
	}
	if _, err := send(moto.Address+"/moto-api/reset-auth", "text/plain", "0"); err != nil { // from now on
		return account{}, err
	}
	target := func(r *http.Request) bool { return r.Header.Get("X-Amz-Target") != "" } // STS knows no such header
	a := account{id: made.ID, key: made.Key}
	a.address = front(moto.Address, target)
	a.sts = front(moto.Address, func(r *http.Request) bool { return !target(r) })
	a.sdk, err = config.LoadDefaultConfig(context.Background(), config.WithRegion(awsRegion), config.WithBaseEndpoint(moto.Address),
		config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(a.id, a.key, "")))
	return a, err
})

// send posts to IAM, which looks at the form of who asks alone so far.
func send(address, kind, body string) ([]byte, error) {
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", kind)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=x")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s %s", address, resp.Status, b)
	}
	return b, err
}

// front hands on what is meant for a service, and refuses the rest: what is asked
// of the wrong one is seen.
func front(to string, meant func(*http.Request) bool) string {
	u, err := url.Parse(to)
	if err != nil {
		panic(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host // it is signed
	}}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !meant(r) {
			http.Error(w, `{"__type":"UnknownOperationException"}`, http.StatusBadRequest)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	atEnd(s.Close)
	return s.URL
}

// newAWS returns the account and the value of a secret that is made in it.
func newAWS(t *testing.T) (account, provider.Source, string) {
	t.Helper()
	a, err := awsAccount()
	need(t, err)
	name, value := rand.Text(), random() // Moto stays when tests are run twice
	if _, err := secretsmanager.NewFromConfig(a.sdk).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &name, SecretString: &value}); err != nil {
		t.Fatal(err)
	}
	return a, source(t, "aws-sm://"+name, map[string]string{"address": a.address, "region": awsRegion, "timeout": "20s"}), value
}

// role are credentials of the role reader.
type role struct {
	ID      string    `json:"AccessKeyId"`
	Key     string    `json:"SecretAccessKey"`
	Token   string    `json:"Token"`
	Session string    `json:"SessionToken"` // what a credential_process calls the token
	Ends    time.Time `json:"Expiration"`
	Version int
}

func (a account) role(t *testing.T) role {
	t.Helper()
	out, err := sts.NewFromConfig(a.sdk).AssumeRole(t.Context(), &sts.AssumeRoleInput{RoleArn: sdk.String(awsRole + "reader"), RoleSessionName: sdk.String("test")})
	if err != nil {
		t.Fatal(err)
	}
	c := out.Credentials
	return role{*c.AccessKeyId, *c.SecretAccessKey, *c.SessionToken, *c.SessionToken, *c.Expiration, 1}
}

func (r role) json(t *testing.T) string {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAWS(t *testing.T) {
	t.Parallel()
	a, _, _ := newAWS(t)
	w := newWorld(t)
	old, value, db, b, key := random(), random(), "prod/"+rand.Text(), rand.Text(), "/app/"+rand.Text()
	sm, ps := secretsmanager.NewFromConfig(a.sdk), ssm.NewFromConfig(a.sdk)
	made, err := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &db, SecretString: sdk.String(`{"password":"` + old + `"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sm.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &db, SecretString: sdk.String(`{"user":"me","password":"` + value + `"}`)}); err != nil {
		t.Fatal(err)
	}
	if _, err := sm.CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: &b, SecretBinary: []byte("\x00\xff" + value)}); err != nil {
		t.Fatal(err)
	}
	for _, v := range []string{old, value} {
		if _, err := ps.PutParameter(t.Context(), &ssm.PutParameterInput{Name: &key, Value: sdk.String(v), Type: ssmtypes.ParameterTypeSecureString, Overwrite: sdk.Bool(true)}); err != nil {
			t.Fatal(err)
		}
	}
	w.stored["AWS"], w.stored["WRONG"] = a.key, random()
	settings := map[string]string{"address": a.address, "region": awsRegion, "access_key_id": a.id, "secret_access_key": "store://AWS"}
	w.want(t, source(t, "aws-sm://"+db+"#password", settings), value)
	w.want(t, source(t, "aws-sm://"+db+"?stage=AWSPREVIOUS#password", settings), old)
	w.want(t, source(t, "aws-sm://"+db+"?version="+*made.VersionId+"#password", settings), old)
	w.want(t, source(t, "aws-sm://"+*made.ARN+"#user", settings), "me")
	w.want(t, source(t, "aws-sm://"+b, settings), "\x00\xff"+value)
	w.want(t, source(t, "ref+awssecrets://"+db+"#/password", settings), value)
	w.refused(t, source(t, "aws-sm://none", settings), provider.Missing, value)
	w.want(t, source(t, "aws-ssm://"+key, settings), value)
	w.want(t, source(t, "aws-ssm://"+key+"?version=1", settings), old)
	w.refused(t, source(t, "aws-ssm:///app/none", settings), provider.Missing, value)
	wrong := map[string]string{"address": a.address, "region": awsRegion, "access_key_id": a.id, "secret_access_key": "store://WRONG"}
	w.refused(t, source(t, "aws-sm://"+db+"#password", wrong), provider.Denied, value, w.stored["WRONG"])
	w.refused(t, source(t, "aws-sm://"+db, map[string]string{"address": a.address, "region": awsRegion}), provider.Denied, value) // nobody is logged in
	w.refused(t, source(t, "aws-sm://"+db+"?x=1", map[string]string{"address": a.address}), provider.Setup, value)                // no region
}

// A profile of the shared files with keys of its own, and one that assumes a role
// with these.
func TestAWSProfile(t *testing.T) {
	t.Parallel()
	a, s, value := newAWS(t)
	files := func(key string) map[string]string {
		return map[string]string{
			".aws/credentials": "[keys]\naws_access_key_id = " + a.id + "\naws_secret_access_key = " + key + "\n",
			".aws/config": "[profile keys]\nregion = " + awsRegion + "\n" +
				"[profile role]\nrole_arn = " + awsRole + "reader\nsource_profile = keys\n" +
				"[profile other]\nrole_arn = " + awsRole + "other\nsource_profile = keys\n" +
				"[profile mfa]\nrole_arn = " + awsRole + "reader\nsource_profile = keys\nmfa_serial = arn:aws:iam::123456789012:mfa/me\n" +
				"[profile loop]\nrole_arn = " + awsRole + "reader\nsource_profile = none\n",
		}
	}
	wrong := random()
	env := func(profile, key string) []string {
		return []string{"HOME=" + write(t, files(key)), "AWS_PROFILE=" + profile, "AWS_ENDPOINT_URL_STS=" + a.sts}
	}
	logins(t, s, value, []string{a.key, wrong}, []login{
		{"keys", env("keys", a.key), "", ""},
		{"wrong keys", env("keys", wrong), provider.Denied, "permission denied"},
		{"role", env("role", a.key), "", ""},
		{"role with wrong keys", env("role", wrong), provider.Denied, refused},
		{"role of others", env("other", a.key), provider.Denied, refused},
		{"role that asks for a code", env("mfa", a.key), provider.Setup, ""}, // nobody is there to be asked
		{"no such profile", env("none", a.key), provider.Setup, ""},
		{"no source", env("loop", a.key), provider.Setup, ""},
		{"STS away", []string{"HOME=" + write(t, files(a.key)), "AWS_PROFILE=role", "AWS_ENDPOINT_URL_STS=http://127.0.0.1:1"}, provider.Unreachable, ""},
		{"STS fails", []string{"HOME=" + write(t, files(a.key)), "AWS_PROFILE=role", "AWS_ENDPOINT_URL_STS=" + serve(t, broken(value, 500))}, provider.Failed, ""},
		{"STS is asked too often", []string{"HOME=" + write(t, files(a.key)), "AWS_PROFILE=role", "AWS_ENDPOINT_URL_STS=" + serve(t, broken(value, 429))}, provider.Throttled, ""},
	})
	t.Run("settings", func(t *testing.T) {
		w := newWorld(t, env("none", a.key)...)
		w.want(t, source(t, s.Ref.String()+"?profile=keys", map[string]string{"address": a.address, "timeout": "20s"}), value)
		w.want(t, source(t, s.Ref.String(), map[string]string{"address": a.address, "timeout": "20s", "profile": "keys"}), value)
	})
	t.Run("mended", func(t *testing.T) {
		home := write(t, files(wrong))
		w := newWorld(t, "HOME="+home, "AWS_PROFILE=keys")
		w.refused(t, s, provider.Denied, value, wrong)
		if err := os.WriteFile(filepath.Join(home, ".aws", "credentials"), []byte(files(a.key)[".aws/credentials"]), 0o600); err != nil {
			t.Fatal(err)
		}
		w.want(t, source(t, s.Ref.String()+"?again", s.Providers["aws-sm"]), value)
	})
}

// The portal of IAM Identity Center and its OIDC service, as their APIs describe
// themselves: GetRoleCredentials and CreateToken.
func TestAWSSSO(t *testing.T) {
	t.Parallel()
	a, s, value := newAWS(t)
	role, token, refresh, client := a.role(t), random(), random(), random()
	portal := serve(t, func(w http.ResponseWriter, r *http.Request) {
		say := func(status int, kind string) {
			w.Header().Set("X-Amzn-ErrorType", kind)
			broken(value, status)(w, r)
		}
		w.Header().Set("Content-Type", "application/json")
		switch q := r.URL.Query(); {
		case r.Method == http.MethodPost && r.URL.Path == "/token":
			var in struct{ ClientID, ClientSecret, GrantType, RefreshToken string }
			if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.ClientID != "c" || in.ClientSecret != client || in.GrantType != "refresh_token" || in.RefreshToken != refresh {
				say(http.StatusBadRequest, "InvalidGrantException")
				return
			}
			fmt.Fprintf(w, `{"accessToken":"%s","expiresIn":3600,"refreshToken":"%s","tokenType":"Bearer"}`, token, refresh)
		case r.Method != http.MethodGet || r.URL.Path != "/federation/credentials":
			say(http.StatusNotFound, "UnknownOperationException")
		case r.Header.Get("X-Amz-Sso_bearer_token") != token:
			say(http.StatusUnauthorized, "UnauthorizedException")
		case q.Get("account_id") != "123456789012" || q.Get("role_name") != "reader":
			say(http.StatusNotFound, "ResourceNotFoundException")
		default:
			fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":"%s","secretAccessKey":"%s","sessionToken":"%s","expiration":%d}}`, role.ID, role.Key, role.Token, role.Ends.UnixMilli())
		}
	})
	const start = "https://corp.awsapps.com/start"
	session := "[profile p]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = reader\n[sso-session corp]\nsso_region = eu-west-1\nsso_start_url = " + start + "\n"
	legacy := "[profile p]\nsso_account_id = 123456789012\nsso_role_name = reader\nsso_region = eu-west-1\nsso_start_url = " + start + "\n"
	cache := func(token, refresh string, ends time.Duration) string {
		return fmt.Sprintf(`{"startUrl":"%s","region":"eu-west-1","accessToken":"%s","expiresAt":"%s","clientId":"c","clientSecret":"%s","refreshToken":"%s"}`,
			start, token, time.Now().Add(ends).UTC().Format(time.RFC3339), client, refresh)
	}
	env := func(config, cache, at string) []string {
		files := map[string]string{".aws/config": config}
		key := "corp"
		if config == legacy {
			key = start
		}
		sum := sha1.Sum([]byte(key))
		if cache != "" {
			files[".aws/sso/cache/"+hex.EncodeToString(sum[:])+".json"] = cache
		}
		return []string{"HOME=" + write(t, files), "AWS_PROFILE=p", "AWS_ENDPOINT_URL_SSO=" + at, "AWS_ENDPOINT_URL_SSO_OIDC=" + at}
	}
	wrong := random()
	logins(t, s, value, []string{token, refresh, client, role.Key, role.Token, wrong}, []login{
		{"session", env(session, cache(token, "", time.Hour), portal), "", ""},
		{"session that is made longer", env(session, cache(wrong, refresh, -time.Minute), portal), "", ""},
		{"session that is over", env(session, cache(wrong, wrong, -time.Minute), portal), provider.Denied, refused},
		{"session that has expired", env(session, cache(token, "", -time.Minute), portal), provider.Denied, nobody},
		{"session that was ended", env(session, cache(wrong, "", time.Hour), portal), provider.Denied, refused},
		{"no session", env(session, "", portal), provider.Denied, nobody},
		{"legacy", env(legacy, cache(token, "", time.Hour), portal), "", ""},
		{"legacy that has expired", env(legacy, cache(token, "", -time.Minute), portal), provider.Denied, nobody},
		{"role of others", env(strings.Replace(session, "reader", "other", 1), cache(token, "", time.Hour), portal), provider.Denied, refused},
		{"portal redirects", env(session, cache(token, "", time.Hour), serve(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, portal+r.URL.RequestURI(), http.StatusTemporaryRedirect)
		})), provider.Setup, ""},
	})
}

// STS, as its API describes AssumeRoleWithWebIdentity: nobody has signed that.
func TestAWSWebIdentity(t *testing.T) {
	t.Parallel()
	a, s, value := newAWS(t)
	role, token, old, wrong := a.role(t), random(), random(), random()
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		say := func(status int, code string) {
			w.WriteHeader(status)
			fmt.Fprintf(w, `<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>`, code, value)
		}
		w.Header().Set("Content-Type", "text/xml")
		switch got := r.PostFormValue("WebIdentityToken"); {
		case r.PostFormValue("Action") != "AssumeRoleWithWebIdentity" || r.Header.Get("Authorization") != "":
			say(http.StatusBadRequest, "InvalidAction")
		case got == old:
			say(http.StatusBadRequest, "ExpiredTokenException")
		case got != token:
			say(http.StatusBadRequest, "InvalidIdentityToken")
		case r.PostFormValue("RoleArn") != awsRole+"reader" || r.PostFormValue("RoleSessionName") == "":
			say(http.StatusForbidden, "AccessDenied")
		default:
			fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>`+
				`<AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration>`+
				`</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, role.ID, role.Key, role.Token, role.Ends.Format(time.RFC3339))
		}
	})
	env := func(role, token, at string) []string {
		file := filepath.Join(write(t, map[string]string{"token": token}), "token")
		return []string{"AWS_ROLE_ARN=" + awsRole + role, "AWS_WEB_IDENTITY_TOKEN_FILE=" + file, "AWS_ENDPOINT_URL_STS=" + at}
	}
	home := write(t, map[string]string{"token": token})
	profile := "[default]\nrole_arn = " + awsRole + "reader\nweb_identity_token_file = " + filepath.Join(home, "token") + "\n"
	busy := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `<ErrorResponse><Error><Code>IDPCommunicationError</Code></Error></ErrorResponse>`)
	})
	logins(t, s, value, []string{token, old, wrong, role.Key, role.Token}, []login{
		{"environment", env("reader", token, at), "", ""},
		{"profile", []string{"HOME=" + write(t, map[string]string{".aws/config": profile}), "AWS_ENDPOINT_URL_STS=" + at}, "", ""},
		{"wrong token", env("reader", wrong, at), provider.Denied, refused},
		{"old token", env("reader", old, at), provider.Denied, refused},
		{"role of others", env("other", token, at), provider.Denied, refused},
		{"no token", append(env("reader", token, at), "AWS_WEB_IDENTITY_TOKEN_FILE="+filepath.Join(home, "none")), provider.Denied, nobody},
		{"its issuer does not answer", env("reader", token, busy), provider.Failed, ""},
	})
}

// What ECS and EKS have beside a container: credentials for who has the token of a file.
func TestAWSContainer(t *testing.T) {
	t.Parallel()
	a, s, value := newAWS(t)
	role, token, wrong := a.role(t), random(), random()
	at := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path != "/v1/credentials" || r.Header.Get("Authorization") != token {
			broken(value, http.StatusUnauthorized)(w, r)
			return
		}
		_, _ = io.WriteString(w, role.json(t))
	})
	env := func(uri, token string) []string {
		return []string{"AWS_CONTAINER_CREDENTIALS_FULL_URI=" + uri, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=" + filepath.Join(write(t, map[string]string{"token": token}), "token")}
	}
	logins(t, s, value, []string{token, wrong, role.Key, role.Token}, []login{
		{"token", env(at+"/v1/credentials", token), "", ""},
		{"wrong token", env(at+"/v1/credentials", wrong), provider.Denied, refused},
		{"no token", append(env(at, token), "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=/none"), provider.Denied, nobody},
		{"not of this machine", env("http://192.0.2.1/v1/credentials", token), provider.Setup, ""},
	})
}

// The metadata service of EC2, version 2 alone.
func TestAWSInstance(t *testing.T) {
	t.Parallel()
	a, s, value := newAWS(t)
	role, token := a.role(t), random()
	service := func(name string) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			const roles = "/latest/meta-data/iam/security-credentials/"
			switch {
			case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") != "":
				w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "300")
				_, _ = io.WriteString(w, token)
			case r.Method != http.MethodGet || r.Header.Get("X-Aws-Ec2-Metadata-Token") != token:
				broken(value, http.StatusUnauthorized)(w, r)
			case r.URL.Path == roles && name != "":
				_, _ = io.WriteString(w, name)
			case r.URL.Path == roles+"reader":
				_, _ = io.WriteString(w, strings.Replace(role.json(t), "{", `{"Code":"Success","Type":"AWS-HMAC",`, 1))
			default:
				broken(value, http.StatusNotFound)(w, r)
			}
		})
	}
	env := func(at string) []string {
		return []string{"AWS_EC2_METADATA_DISABLED=false", "AWS_EC2_METADATA_SERVICE_ENDPOINT=" + at}
	}
	logins(t, s, value, []string{token, role.Key, role.Token}, []login{
		{"role", env(service("reader")), "", ""},
		{"no role", env(service("")), provider.Denied, nobody},
		{"none", env("http://127.0.0.1:1"), provider.Denied, nobody},
	})
}

// A program that the profile names.
func TestAWSProcess(t *testing.T) {
	t.Parallel()
	a, s, value := newAWS(t)
	role := a.role(t)
	env := func(script string) []string {
		dir := write(t, map[string]string{"role.json": role.json(t)})
		if err := peers.WriteProgram(filepath.Join(dir, "program"), "#!/bin/sh\ncd "+dir+"\n"+script+"\n"); err != nil {
			t.Fatal(err)
		}
		home := write(t, map[string]string{".aws/config": "[default]\ncredential_process = " + filepath.Join(dir, "program") + " --for test\n"})
		return []string{"HOME=" + home, "PATH=" + os.Getenv("PATH")}
	}
	logins(t, s, value, []string{role.Key, role.Token}, []login{
		{"answers", env(`test "$*" = "--for test" && cat role.json`), "", ""},
		{"fails", env(`cat role.json role.json >&2; exit 1`), provider.Denied, nobody},
		{"says something else", env(`cat role.json role.json`), provider.Denied, nobody},
	})
}

// What `aws login` left in its cache, and the sign-in service as its API describes
// CreateOAuth2Token: who shows the key that the session began with (RFC 9449) gets more.
func TestAWSLogin(t *testing.T) {
	t.Parallel()
	a, s, value := newAWS(t)
	role, refresh, wrong := a.role(t), random(), random()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	var at string
	at = serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		var in struct{ ClientID, GrantType, RefreshToken string }
		err := json.NewDecoder(r.Body).Decode(&in)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/v1/token" || in.ClientID != "arn:aws:signin:::devtools/same-device" ||
			in.GrantType != "refresh_token" || in.RefreshToken != refresh || !proves(r.Header.Get("DPoP"), &key.PublicKey, at+"/v1/token") {
			w.Header().Set("X-Amzn-ErrorType", "AccessDeniedException")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `{"error":"TOKEN_EXPIRED","message":"%s"}`, value)
			return
		}
		fmt.Fprintf(w, `{"accessToken":{"accessKeyId":"%s","secretAccessKey":"%s","sessionToken":"%s"},"tokenType":"aws_sigv4","expiresIn":900,"refreshToken":"%s"}`,
			role.ID, role.Key, role.Token, refresh)
	})
	const session = "arn:aws:iam::123456789012:user/me"
	env := func(id, secret string, ends time.Duration, refresh string, key *ecdsa.PrivateKey, at string) []string {
		der, err := x509.MarshalECPrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		cached, err := json.Marshal(map[string]any{
			"accessToken": map[string]string{
				"accessKeyId": id, "secretAccessKey": secret, "sessionToken": role.Token, "accountId": "123456789012",
				"expiresAt": time.Now().Add(ends).UTC().Format(time.RFC3339),
			},
			"tokenType": "aws_sigv4", "refreshToken": refresh, "identityToken": "", "clientId": "arn:aws:signin:::devtools/same-device",
			"dpopKey": string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})),
		})
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(session))
		home := write(t, map[string]string{
			".aws/config": "[default]\nlogin_session = " + session + "\nregion = " + awsRegion + "\n",
			".aws/login/cache/" + hex.EncodeToString(sum[:]) + ".json": string(cached),
		})
		return []string{"HOME=" + home, "AWS_ENDPOINT_URL_SIGNIN=" + at}
	}
	none := env(role.ID, role.Key, time.Hour, refresh, key, at)
	if err := os.RemoveAll(filepath.Join(strings.TrimPrefix(none[0], "HOME="), ".aws", "login")); err != nil {
		t.Fatal(err)
	}
	logins(t, s, value, []string{refresh, role.Key, role.Token, wrong}, []login{
		{"session", env(role.ID, role.Key, time.Hour, wrong, key, at), "", ""},
		{"session that is made longer", env("old", wrong, -time.Minute, refresh, key, at), "", ""},
		{"session that is over", env("old", wrong, -time.Minute, wrong, key, at), provider.Denied, nobody},
		{"session of another key", env("old", wrong, -time.Minute, refresh, other, at), provider.Denied, nobody},
		{"no session", none, provider.Denied, nobody},
		{"service away", env("old", wrong, -time.Minute, refresh, key, "http://127.0.0.1:1"), provider.Unreachable, ""},
		{"service fails", env("old", wrong, -time.Minute, refresh, key, serve(t, broken(value, 500))), provider.Failed, ""},
	})
}

// proves reports whether token shows, for a POST to at, who has the key (RFC 9449, section 4.3).
func proves(token string, key *ecdsa.PublicKey, at string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	part := func(n int, to any) []byte {
		b, err := base64.RawURLEncoding.DecodeString(parts[n])
		if err == nil && to != nil {
			err = json.Unmarshal(b, to)
		}
		if err != nil {
			return nil
		}
		return b
	}
	var head struct{ Typ, Alg string }
	var claims struct {
		Htm, Htu, Jti string
		Iat           int64
	}
	signature := part(2, nil)
	if part(0, &head) == nil || part(1, &claims) == nil || len(signature) != 64 {
		return false
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	age := time.Since(time.Unix(claims.Iat, 0))
	return head.Typ == "dpop+jwt" && head.Alg == "ES256" && claims.Htm == http.MethodPost && claims.Htu == at && claims.Jti != "" &&
		-time.Minute < age && age < 5*time.Minute &&
		ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}

// The variable of the SDK, for who has an authority of their own.
func TestAWSBundle(t *testing.T) {
	t.Parallel()
	value := random()
	stub, err := peers.NewStub(t.TempDir(), value, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"Name":"x","SecretString":"`+value+`"}`)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stub.Close)
	w := newWorld(t, "AWS_CA_BUNDLE="+stub.CA)
	w.stored["KEY"] = random()
	w.want(t, source(t, "aws-sm://x", map[string]string{"address": stub.URL, "region": awsRegion, "access_key_id": "k", "secret_access_key": "store://KEY"}), value)
}
