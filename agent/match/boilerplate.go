package match

// englishPairs are the pairs of letters that make up nineteen twentieths of
// technical English. A random pair is one of them in one case of three.
const englishPairs = `
	in re er te ed es ti on ng at en nt al co st le de se or ar ra io li an ec ri it ve ca ns ne pr si ce ac ro me
	ta nd un ic ll tr ct pe ly ea lo ma di he el is nc et la pa as ts ch ex rs fi ni mp ss om ou em na im po su ck
	mi th ge ha rt il bl ie pl ur oc ut us ap ad ep ul to ol ig ke iv pt ai ab sp ia sh op id ee no sc ot os ef ci
	cl am od qu so ow cr hi rr if iz pp rm fo mo fe be ir sa pi ze cu tt ds ho tu ty va um ag ry vi ue ov ip ev go
	ba gr eg uc oo up mu ff du pu do rd wa xp ru lt da ua gi bu ub ls ui wi ki cc ld gn sy fa ib lu bi bo ps tl ak
	ks nn yp rn we sl og av ob nv fl rc rk au mm nf fu xt fr wo oi dd gh dl ys bs mb eq`

// commonValues are values that stand in many texts for other reasons. Their
// digits and signs at both ends do not count.
var commonValues = []string{
	"administrator", "anonymous", "authentication", "authorization", "changeit", "changeme", "change-me", "change_me",
	"config", "configuration", "confidential", "customer", "dashboard", "database", "datascience", "default", "development",
	"disabled", "docker", "dragon", "elastic", "enabled", "environment", "example", "examples", "false", "football", "guest", "iloveyou",
	"insert-your-key-here", "internal", "jupyter", "jupyterhub", "jupyterlab", "kubernetes", "letmein", "localhost", "localhost.localdomain", "master",
	"minioadmin", "mongodb", "monkey", "mypassword", "mysecret", "notebook", "notebooks", "notset", "passphrase", "password",
	"placeholder", "postgres", "postgresql", "princess", "private", "production", "project", "qwerty", "qwertyuiop", "rabbitmq", "redacted",
	"redis", "rootroot", "sample", "secret", "secretkey", "service", "staging", "sunshine", "superman", "superuser", "supersecret", "superset",
	"tensorflow", "testing", "testpassword", "testtest", "topsecret", "toor", "trustno", "undefined", "unknown", "username", "welcome",
	"xxxxxxxx", "your-api-key", "your-api-key-here", "your_api_key", "your_api_key_here", "yourpassword", "your-password", "your_password",
	"api_key", "apikey", "access_token", "client_secret", "p@ssw0rd", "p@ssword", "passw0rd", "pa$$word", "pa$$w0rd", "admin@admin", "admin:admin",
	"127.0.0.1", "0.0.0.0", "192.168.0.1", "http://localhost", "https://localhost", "1q2w3e4r", "1qaz2wsx", "q1w2e3r4", "zaq12wsx", "abcd1234", "abc12345",
	"test1234", "user1234", "admin123", "deadbeef", "00000000-0000-0000-0000-000000000000",
}

// publicFields are the fields of JSON credentials whose values are no secret
// and stand in many notebooks.
var publicFields = []string{
	"type", "project_id", "private_key_id", "client_email", "client_id", "auth_uri", "token_uri", "auth_provider_x509_cert_url",
	"client_x509_cert_url", "universe_domain", "quota_project_id", "region", "tenant", "tenantId", "subscriptionId", "clientId",
	"resourceManagerEndpointUrl", "activeDirectoryEndpointUrl", "managementEndpointUrl", "galleryEndpointUrl", "sqlManagementEndpointUrl",
	"activeDirectoryGraphResourceId", "username", "host", "engine", "dbname", "database", "dbInstanceIdentifier", "account_id",
}

// templates are shapes of text that is public; d is a digit.
var templates = []string{
	"dddd-dd-dd", "Tdd:dd:dd", " dd:dd:dd", "Tdd%3Add%3Add", "dddd/dd/dd", "192.168.d", "172.1d.d", "172.2d.d", "172.3d.d", "10.0.d.d", "127.0.0.d",
}

// boilerplate is text that stands in many values and in much else. Its bytes
// weigh nothing, nor do those of its base64, which is how it stands in tokens.
// Every string has at least four bytes.
var boilerplate = []string{
	// URLs
	"http://", "https://", "http://www.", "https://www.", "https://api.", "postgres://", "postgresql://", "postgresql+psycopg2://",
	"postgresql+psycopg://", "postgresql+asyncpg://", "mysql://", "mysql+pymysql://", "mysql+mysqlconnector://", "mysql+mysqldb://", "mariadb://",
	"mariadb+pymysql://", "mssql://", "mssql+pyodbc://", "oracle://", "oracle+cx_oracle://", "oracle+oracledb://", "sqlite://", "snowflake://",
	"redshift://", "redshift+psycopg2://", "redshift+redshift_connector://", "bigquery://", "clickhouse://", "clickhouse+http://", "trino://", "presto://", "databricks://",
	"databricks+connector://", "mongodb://", "mongodb+srv://", "redis://", "rediss://", "amqp://", "amqps://", "kafka://", "neo4j://",
	"neo4j+s://", "bolt://", "ftps://", "sftp://", "ssh://", "smtp://", "smtps://", "ldap://", "ldaps://", "jdbc:postgresql://", "jdbc:mysql://",
	"jdbc:sqlserver://", "jdbc:oracle:thin:@", "git+https://", "github.com/", "https://github.com/", "raw.githubusercontent.com/", "gitlab.com/", "huggingface.co/", "api.openai.com/", "api.anthropic.com/",
	"localhost", "localhost:", "127.0.0.1", "0.0.0.0", "host.docker.internal", ":5432/", ":5433/", ":3306/", ":1433/", ":1521/", ":6379/", ":27017/", ":9000/", ":8080/", ":8888/", ":443/", ":8123/",
	":5439/", "@localhost:5432/", "@localhost:3306/", "@127.0.0.1:5432/", "postgres:postgres@", "postgres:", "root:", "admin:", "user:", "username", "password", "passwd", "database", "postgres", "default", "secret",
	"?sslmode=require", "&sslmode=require", "sslmode=", "verify-full", "?charset=utf8mb4", "?retryWrites=true&w=majority", "&w=majority", "?authSource=admin", "authSource=", "&appName=Cluster0",
	"?driver=ODBC+Driver+17+for+SQL+Server", "?driver=ODBC+Driver+18+for+SQL+Server", "driver=ODBC+Driver+", "ODBC Driver 17 for SQL Server", "ODBC Driver 18 for SQL Server", "&TrustServerCertificate=yes", "TrustServerCertificate",
	"application_name=", "connect_timeout=", "channel_binding=require", "pgbouncer=true", "search_path=", "warehouse=", "&role=", "account=",
	// hosts
	"hooks.slack.com/services/", "discord.com/api/webhooks/", "discordapp.com/api/webhooks/", "outlook.office.com/webhook/", ".webhook.office.com/webhookb2/", "/IncomingWebhook/", "api.telegram.org/bot",
	".amazonaws.com", ".amazonaws.com:5432/", ".amazonaws.com:3306/", ".rds.amazonaws.com", ".redshift.amazonaws.com", ".s3.amazonaws.com", "s3.amazonaws.com/", "https://s3.", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
	"eu-west-1", "eu-west-2", "eu-central-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-south-1", "sa-east-1", "ca-central-1", "us-central1", "europe-west1",
	"cluster0.", ".mongodb.net", ".mongodb.net/", ".mongodb.net/?retryWrites=true&w=majority", ".mongodb.net/test", ".mongodb.net/admin", ".supabase.co", ".supabase.com", ".pooler.supabase.com", ".neon.tech", ".aws.neon.tech",
	".snowflakecomputing.com", ".cloud.databricks.com", ".azuredatabricks.net", ".database.windows.net", ".blob.core.windows.net", ".file.core.windows.net", ".queue.core.windows.net", ".table.core.windows.net", ".dfs.core.windows.net", ".core.windows.net",
	".documents.azure.com", ".servicebus.windows.net", ".azurewebsites.net", ".openai.azure.com", ".cognitiveservices.azure.com", ".vault.azure.net", "login.microsoftonline.com/", "management.azure.com", ".postgres.database.azure.com", ".mysql.database.azure.com", ".redis.cache.windows.net",
	"googleapis.com", ".googleapis.com", "www.googleapis.com", "storage.googleapis.com/", "oauth2.googleapis.com/token", "accounts.google.com/o/oauth2/auth", "accounts.google.com", "www.googleapis.com/oauth2/v1/certs", "www.googleapis.com/oauth2/v4/token",
	"www.googleapis.com/robot/v1/metadata/x509/", "https://www.googleapis.com/auth/cloud-platform", "https://www.googleapis.com/auth/", ".iam.gserviceaccount.com", "@developer.gserviceaccount.com", "-compute@developer.gserviceaccount.com", ".apps.googleusercontent.com", "apps.googleusercontent.com",
	".firebaseio.com", ".firebaseapp.com", ".cloudfront.net", ".herokuapp.com", ".elastic-cloud.com", ".cloud.es.io", ".redislabs.com", ".upstash.io", ".render.com", ".railway.app", ".fly.dev", ".azure.com", ".ingest.sentry.io/", ".ondigitalocean.com", ".digitaloceanspaces.com", ".svc.cluster.local", ".example.com", "example.com", "gmail.com", "@gmail.com", "hotmail.com", "outlook.com",
	"/api/v1/", "/api/v2/", "/oauth/token", "/oauth2/token", "/.well-known/", "/home/", "/root/", "/Users/", "/workspace/", "/content/drive/MyDrive/",
	// prefixes of tokens
	"sk-ant-api03-", "sk-ant-admin01-", "sk-ant-oat01-", "sk-proj-", "sk-svcacct-", "sk-or-v1-", "sk-lf-", "pk-lf-", "sk_live_", "sk_test_", "pk_live_", "pk_test_", "rk_live_", "rk_test_", "whsec_", "github_pat_", "ghp_", "gho_", "ghs_", "ghu_", "ghr_",
	"glpat-", "gldt-", "glrt-", "xoxb-", "xoxp-", "xoxa-2-", "xoxs-", "xapp-1-", "AKIA", "ASIA", "AIzaSy", "ya29.", "GOCSPX-", "dapi", "dckr_pat_", "npm_", "pypi-AgEIcHlwaS5vcmc", "pypi-AgENdGVzdC5weXBpLm9yZ", "key-", "shpat_", "shpss_",
	"lsv2_pt_", "lsv2_sk_", "ls__", "wandb_v1_", "pplx-", "gsk_", "xai-", "tgp_v1_", "nvapi-", "vercel_", "sbp_", "sntrys_", "sntryu_", "ATATT3xFfGF0", "ATCTT3xFfGN0", "ntn_", "secret_", "figd_", "lin_api_", "PMAK-", "NRAK-", "glsa_", "glc_", "hvs.CAESI", "hvs.", "hvb.", "tskey-auth-", "tskey-api-", "doo_v1_", "dop_v1_", "EAACEdEose0cBA", "Bearer ", "bearer ", "Basic ", "token ", "AGE-SECRET-KEY-1",
	// PEM and OpenSSH
	"-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----", "-----END RSA PRIVATE KEY-----", "-----BEGIN EC PRIVATE KEY-----", "-----END EC PRIVATE KEY-----", "-----BEGIN DSA PRIVATE KEY-----", "-----END DSA PRIVATE KEY-----",
	"-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----", "-----BEGIN OPENSSH PRIVATE KEY-----", "-----END OPENSSH PRIVATE KEY-----", "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----", "-----BEGIN PUBLIC KEY-----", "-----END PUBLIC KEY-----",
	"-----BEGIN PGP PRIVATE KEY BLOCK-----", "-----END PGP PRIVATE KEY BLOCK-----", "-----BEGIN EC PARAMETERS-----", "-----END EC PARAMETERS-----", "-----BEGIN ", "-----END ", "PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED", "DEK-Info: AES-256-CBC,", "DEK-Info: AES-128-CBC,", "DEK-Info: DES-EDE3-CBC,",
	"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ", "MIIEvgIBADANBgkqhkiG9w0BAQEFAASCBKgwggSkAgEAAoIBAQ", "MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQ", "MIIEuwIBADANBgkqhkiG9w0BAQEFAASCBKUwggShAgEAAoIBAQ", "MIIJQwIBADANBgkqhkiG9w0BAQEFAASCCS0wggkpAgEAAoICAQ", "MIIJQgIBADANBgkqhkiG9w0BAQEFAASCCSwwggkoAgEAAoICAQ", "MIIJRAIBADANBgkqhkiG9w0BAQEFAASCCS4wggkqAgEAAoICAQ", "MIIG/gIBADANBgkqhkiG9w0BAQEFAASCBugwggbkAgEAAoIBgQ",
	"ADANBgkqhkiG9w0BAQEFAASC", "MIIEpAIBAAKCAQEA", "MIIEowIBAAKCAQEA", "MIIEpQIBAAKCAQEA", "MIIEogIBAAKCAQEA", "MIIJKQIBAAKCAgEA", "MIIJKgIBAAKCAgEA", "MIIJKAIBAAKCAgEA", "MIICXAIBAAKBgQ", "MIICXQIBAAKBgQ", "MIICXgIBAAKBgQ", "AgMBAAECggEA", "AgMBAAECggEB", "MHcCAQEEI", "oAoGCCqGSM49AwEHoUQDQgAE", "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg", "oUQDQgAE", "MC4CAQAwBQYDK2VwBCIEI", "MIIFHDBOBgkqhkiG9w0BBQ0wQTApBgkqhkiG9w0BBQwwHA", "BgkqhkiG9w0B",
	"b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW", "QyNTUxOQAAACA", "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAABlwAAAAdzc2gtcn", "NhAAAAAwEAAQAAAYEA", "b3BlbnNzaC1rZXktdjEAAAAA", "AAAAB3NzaC1yc2EAAAADAQABAAAB", "AAAAC3NzaC1lZDI1NTE5AAAAI", "ssh-rsa ", "ssh-ed25519 ", "openssh-key-v1",
	// tokens in JSON
	`{"alg":"HS256","typ":"JWT"}`, `{"alg":"HS384","typ":"JWT"}`, `{"alg":"HS512","typ":"JWT"}`, `{"alg":"RS256","typ":"JWT"}`, `{"alg":"RS384","typ":"JWT"}`, `{"alg":"RS512","typ":"JWT"}`, `{"alg":"ES256","typ":"JWT"}`, `{"alg":"ES384","typ":"JWT"}`, `{"alg":"PS256","typ":"JWT"}`, `{"alg":"EdDSA","typ":"JWT"}`, `{"alg":"none"}`,
	`{"typ":"JWT","alg":"HS256"}`, `{"typ":"JWT","alg":"RS256"}`, `{"typ":"JWT","alg":"ES256"}`, `{"alg":"HS256"}`, `{"alg":"RS256"}`, `{"alg":"RS256","typ":"JWT","kid":"`, `{"alg":"RS256","kid":"`, `","typ":"JWT"}`, `{"typ":"JWT","alg":"RS256","x5t":"`, `","alg":"RS256","typ":"JWT"}`, `","alg":"RS256"`, `{"kid":"`, `{"alg":"`, `{"typ":"JWT"`, `"typ":"`, `"alg":"`, `"kid":"`, "eyJhbGciOi", "eyJ0eXAi", "eyJraWQi",
	`{"iss":"`, `{"sub":"`, `{"aud":"`, `{"iat":`, `{"exp":`, `{"id":"`, `{"user_id":"`, `{"email":"`, `"iss":"https://`, `,"iss":"`, `,"sub":"`, `,"aud":"`, `,"name":"`, `,"email":"`, `,"scope":"`, `,"role":"`, `,"role":"anon","iat":1`, `,"role":"service_role","iat":1`, `{"iss":"supabase","ref":"`, `,"iat":1`, `,"exp":1`, `,"exp":2`, `,"nbf":1`, `,"jti":"`, `"admin":true`, `"email_verified":true`, `"1234567890"`, `"John Doe"`, `{"sub":"1234567890","name":"John Doe","iat":1516239022}`, `{"sub":"1234567890","name":"John Doe","admin":true,"iat":1516239022}`, `"azp":"`, `"tid":"`, `"oid":"`,
	// service accounts and other credentials in JSON
	`"type": "service_account"`, `"type":"service_account"`, `"service_account"`, `"authorized_user"`, `"project_id"`, `"private_key_id"`, `"private_key"`, `"client_email"`, `"client_id"`, `"client_secret"`, `"refresh_token"`, `"access_token"`, `"token_type"`, `"expires_in"`, `"auth_uri"`, `"token_uri"`, `"auth_provider_x509_cert_url"`, `"client_x509_cert_url"`, `"universe_domain"`, `"installed"`, `"redirect_uris"`, `"javascript_origins"`, `"urn:ietf:wg:oauth:2.0:oob"`, `"http://localhost"`,
	`"username"`, `"password"`, `"key":"`, `"key": "`, `"engine"`, `"dbname"`, `"dbInstanceIdentifier"`, `"AccessKeyId"`, `"SecretAccessKey"`, `"SessionToken"`, `"Expiration"`, `"auths"`, `"https://index.docker.io/v1/"`, `{"username":"`, `","key":"`, `\n-----END PRIVATE KEY-----\n`, `-----BEGIN PRIVATE KEY-----\n`,
	"aws_access_key_id", "aws_secret_access_key", "aws_session_token", "[default]", "IQoJb3JpZ2luX2Vj", "FwoGZXIvYXdzE", "apiVersion: v1", "certificate-authority-data: ", "client-certificate-data: ", "client-key-data: ", "current-context: ", "kind: Config", "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
	// Azure
	"DefaultEndpointsProtocol=https;AccountName=", "DefaultEndpointsProtocol=https", "DefaultEndpointsProtocol=http", "AccountName=", "AccountKey=", ";AccountKey=", "EndpointSuffix=core.windows.net", ";EndpointSuffix=core.windows.net", "BlobEndpoint=https://", "SharedAccessSignature=", "QueueEndpoint=https://", "TableEndpoint=https://", "FileEndpoint=https://",
	"Endpoint=sb://", ".servicebus.windows.net/", ";SharedAccessKeyName=", "SharedAccessKeyName=RootManageSharedAccessKey", "RootManageSharedAccessKey", ";SharedAccessKey=", ";EntityPath=", "AccountEndpoint=https://", ".documents.azure.com:443/", "HostName=", ".azure-devices.net", ";DeviceId=", "iothubowner", "InstrumentationKey=", ";IngestionEndpoint=https://", ".applicationinsights.azure.com/", ";LiveEndpoint=https://",
	"Server=tcp:", ".database.windows.net,1433", ";Initial Catalog=", ";Persist Security Info=False", ";User ID=", ";Password=", ";MultipleActiveResultSets=False", ";Encrypt=True", ";TrustServerCertificate=False", ";Connection Timeout=30;", "Driver={ODBC Driver 17 for SQL Server}", "Driver={ODBC Driver 18 for SQL Server}", "Data Source=", "Trusted_Connection=", "host=", "port=", "user=", "password=", "dbname=", "port=5432",
	"?sv=", "sv=20", "&ss=", "&srt=sco", "&sp=", "&se=20", "&st=20", "&spr=https", "&sig=", "&sr=c", "&sr=b", "&sp=r", "&sp=racwdl", "&sp=rwdlacupiytfx",
	// what stands in many texts
	"abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", "0123456789abcdef", "0123456789ABCDEF", "1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "Lorem ipsum dolor sit amet", "deadbeef", "EXAMPLEKEY", "changeme", "your-api-key", "YOUR_API_KEY", "<your", "xxxxxxxx", "3141592653589793", "2718281828459045",
}
