// An OAuth 2.0 authorization server with one user: authorization code with PKCE, refresh tokens that rotate, with reuse
// detection, revocation and introspection. Everything is in memory.
//
// Standard output is one line with the URL, once the server is ready. LOGIN_PASSWORD and CLIENT_SECRET are environment
// variables, because other users of a machine can read arguments.
//
// Fosite rounds the end of a token's life to a whole second.
package main

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"html/template"
	"log"
	"maps"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/storage"
	"golang.org/x/crypto/bcrypt"
)

// The tokens. A family is all tokens of one login; fosite calls its ID the ID of the request.
type store struct {
	*storage.MemoryStore
	refreshTokens map[string]*refreshToken
	options       options
}

type refreshToken struct {
	fosite.Requester
	spent   time.Time
	revoked bool
}

func (s *store) CreateRefreshTokenSession(_ context.Context, signature, _ string, request fosite.Requester) error {
	s.refreshTokens[signature] = &refreshToken{Requester: request}
	return nil
}

func (s *store) GetRefreshTokenSession(
	_ context.Context, signature string, _ fosite.Session,
) (fosite.Requester, error) {
	token, known := s.refreshTokens[signature]
	switch {
	case !known:
		return nil, fosite.ErrNotFound
	case !token.spent.IsZero() && time.Since(token.spent) >= s.options.gracePeriod():
		return token, fosite.ErrInactiveToken
	case token.revoked:
		return nil, fosite.ErrNotFound
	}
	return token, nil
}

// Fosite deletes a token whose reuse it has detected. It stays known, so that every further use is counted.
func (s *store) DeleteRefreshTokenSession(context.Context, string) error { return nil }

func (s *store) RotateRefreshToken(ctx context.Context, family, signature string) error {
	if s.options.RefreshTokens != "rotate" {
		return nil
	}
	if token := s.refreshTokens[signature]; token.spent.IsZero() {
		token.spent = time.Now()
	}
	return s.RevokeAccessToken(ctx, family)
}

func (s *store) RevokeRefreshToken(_ context.Context, family string) error {
	for _, token := range s.refreshTokens {
		token.revoked = token.revoked || token.GetID() == family
	}
	return nil
}

func (s *store) RevokeAccessToken(_ context.Context, family string) error {
	maps.DeleteFunc(s.AccessTokens, func(_ string, token fosite.Requester) bool { return token.GetID() == family })
	return nil
}

func (s *store) revokeAll() {
	clear(s.AccessTokens)
	for _, token := range s.refreshTokens {
		token.revoked = true
	}
}

// The tests can change these at run time.
type options struct {
	// What a refresh does with the refresh token: rotate it, keep it, or keep it and omit it in the answer.
	RefreshTokens string `json:"refresh-tokens"`
	// How long a spent refresh token is accepted.
	GracePeriodMillis int64 `json:"grace-period-ms"`
	// Members to replace in successful answers of the token endpoint. One without a value is removed.
	Members []struct {
		Name  string          `json:"name"`
		Value json.RawMessage `json:"value"`
	} `json:"members"`
	// What the token endpoint sends in place of a successful answer.
	Body *struct {
		ContentType string `json:"content-type"`
		Text        string `json:"text"`
	} `json:"body"`
}

func (o *options) gracePeriod() time.Duration {
	return time.Duration(o.GracePeriodMillis) * time.Millisecond
}

type statistics struct {
	CodesExchanged   int `json:"codes-exchanged"`
	Refreshes        int `json:"refreshes"`
	RefreshesRefused int `json:"refreshes-refused"`
	ReuseDetections  int `json:"reuse-detections"`
	Revocations      int `json:"revocations"`
}

type server struct {
	fosite.OAuth2Provider
	store          *store
	statistics     statistics
	issuer         string
	user, password string
}

var page = template.Must(template.New("login").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Log in</title>
<style>
body { font: 1.1em/1.6 sans-serif; margin: 4em auto; max-width: 26em }
input { display: block; font: inherit }
</style>
<h1>Log in</h1>
<p><b>{{.Client}}</b> requests access{{with .Scopes}} ({{.}}){{end}}.</p>
{{with .Error}}<p role="alert">{{.}}</p>{{end}}
<form method="post">
<p><label>User name <input name="username" autocomplete="username" autofocus required></label></p>
<p><label>Password <input name="password" type="password" autocomplete="current-password" required></label></p>
<p><button name="action" value="log-in">Log in</button>
<button name="action" value="cancel" formnovalidate>Cancel</button></p>
</form>
</html>
`))

func (s *server) authorize(w http.ResponseWriter, r *http.Request) {
	request, err := s.NewAuthorizeRequest(r.Context(), r)
	if err != nil {
		s.denyAuthorization(w, r, request, err)
		return
	}
	switch {
	case r.Method != http.MethodPost:
		showPage(w, http.StatusOK, request, "")
	case r.PostForm.Get("action") == "cancel":
		s.denyAuthorization(w, r, request, fosite.ErrAccessDenied)
	case !equal(r.PostForm.Get("username"), s.user) || !equal(r.PostForm.Get("password"), s.password):
		showPage(w, http.StatusUnauthorized, request, "The user name or the password is wrong.")
	default:
		for _, scope := range request.GetRequestedScopes() {
			request.GrantScope(scope)
		}
		session := &fosite.DefaultSession{Subject: s.user, Username: s.user}
		response, err := s.NewAuthorizeResponse(r.Context(), request, session)
		if err != nil {
			s.denyAuthorization(w, r, request, err)
			return
		}
		response.AddParameter("iss", s.issuer)
		s.WriteAuthorizeResponse(r.Context(), w, request, response)
	}
}

func equal(one, other string) bool {
	return subtle.ConstantTimeCompare([]byte(one), []byte(other)) == 1
}

func showPage(w http.ResponseWriter, status int, request fosite.AuthorizeRequester, problem string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = page.Execute(w, map[string]string{
		"Client": request.GetClient().GetID(),
		"Scopes": strings.Join(request.GetRequestedScopes(), ", "),
		"Error":  problem,
	})
}

// Fosite sends no `iss` with an error, which RFC 9207 demands.
func (s *server) denyAuthorization(
	w http.ResponseWriter, r *http.Request, request fosite.AuthorizeRequester, err error,
) {
	if !request.IsRedirectURIValid() {
		s.WriteAuthorizeError(r.Context(), w, request, err)
		return
	}
	values := fosite.ErrorToRFC6749Error(err).ToValues()
	values.Set("state", request.GetState())
	values.Set("iss", s.issuer)
	redirect := *request.GetRedirectURI()
	redirect.RawQuery = values.Encode()
	http.Redirect(w, r, redirect.String(), http.StatusSeeOther)
}

func (s *server) token(w http.ResponseWriter, r *http.Request) {
	request, err := s.NewAccessRequest(r.Context(), r, new(fosite.DefaultSession))
	var response fosite.AccessResponder
	if err == nil {
		response, err = s.NewAccessResponse(r.Context(), request)
	}
	refresh := r.PostForm.Get("grant_type") == "refresh_token"
	if err != nil {
		if refresh {
			s.statistics.RefreshesRefused++
		}
		if errors.Is(err, fosite.ErrInactiveToken) {
			s.statistics.ReuseDetections++
		}
		s.WriteAccessError(r.Context(), w, request, err)
		return
	}
	answer := response.ToMap()
	if refresh {
		s.statistics.Refreshes++
		switch s.store.options.RefreshTokens {
		case "keep":
			answer["refresh_token"] = r.PostForm.Get("refresh_token")
		case "omit":
			delete(answer, "refresh_token")
		}
	} else {
		s.statistics.CodesExchanged++
	}
	for _, member := range s.store.options.Members {
		if member.Value == nil {
			delete(answer, member.Name)
		} else {
			answer[member.Name] = member.Value
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	if body := s.store.options.Body; body != nil {
		w.Header().Set("Content-Type", body.ContentType)
		_, _ = w.Write([]byte(body.Text))
		return
	}
	writeJSON(w, answer)
}

func (s *server) revoke(w http.ResponseWriter, r *http.Request) {
	err := s.NewRevocationRequest(r.Context(), r)
	if err == nil {
		s.statistics.Revocations++
	}
	s.WriteRevocationResponse(r.Context(), w, err)
}

func (s *server) introspect(w http.ResponseWriter, r *http.Request) {
	response, err := s.NewIntrospectionRequest(r.Context(), r, new(fosite.DefaultSession))
	if err != nil {
		s.WriteIntrospectionError(r.Context(), w, err)
		return
	}
	s.WriteIntrospectionResponse(r.Context(), w, response)
}

func (s *server) setOptions(w http.ResponseWriter, r *http.Request) {
	changed := options{RefreshTokens: "rotate"}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&changed); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.store.options = changed
	writeJSON(w, changed)
}

func writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

// One request at a time: fosite checks a refresh token and rotates it in two steps.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/authorize", s.authorize)
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("POST /revoke", s.revoke)
	mux.HandleFunc("POST /introspect", s.introspect)
	mux.HandleFunc("GET /control/statistics", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, s.statistics) })
	mux.HandleFunc("POST /control/revoke-all", func(http.ResponseWriter, *http.Request) { s.store.revokeAll() })
	mux.HandleFunc("PUT /control/options", s.setOptions)
	var mutex sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A slow client must not keep the lock while it sends its form.
		_ = r.ParseForm()
		mutex.Lock()
		defer mutex.Unlock()
		mux.ServeHTTP(w, r)
	})
}

func newServer(
	issuer, user, client, confidential string, accessLifetime, refreshLifetime time.Duration,
) (*server, error) {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	// Every introspection compares the client's secret, and the usual cost takes a quarter of a second.
	hash, err := bcrypt.GenerateFromPassword([]byte(os.Getenv("CLIENT_SECRET")), bcrypt.MinCost)
	if err != nil {
		return nil, err
	}
	tokens := &store{
		MemoryStore:   storage.NewMemoryStore(),
		refreshTokens: map[string]*refreshToken{},
		options:       options{RefreshTokens: "rotate"},
	}
	for _, id := range []string{client, confidential} {
		tokens.Clients[id] = &fosite.DefaultClient{
			ID:            id,
			Secret:        hash,
			Public:        id == client,
			RedirectURIs:  []string{"http://127.0.0.1/callback"},
			GrantTypes:    []string{"authorization_code", "refresh_token"},
			ResponseTypes: []string{"code"},
			Scopes:        []string{"connectors", "offline_access"},
		}
	}
	config := &fosite.Config{
		GlobalSecret:                  secret,
		AccessTokenLifespan:           accessLifetime,
		RefreshTokenLifespan:          refreshLifetime,
		EnforcePKCE:                   true,
		RefreshTokenScopes:            []string{},
		DisableRefreshTokenValidation: true,
	}
	provider := compose.Compose(config, tokens, compose.NewOAuth2HMACStrategy(config),
		compose.OAuth2AuthorizeExplicitFactory, compose.OAuth2RefreshTokenGrantFactory, compose.OAuth2PKCEFactory,
		compose.OAuth2TokenRevocationFactory, compose.OAuth2TokenIntrospectionFactory)
	return &server{
		OAuth2Provider: provider,
		store:          tokens,
		issuer:         issuer,
		user:           user,
		password:       os.Getenv("LOGIN_PASSWORD"),
	}, nil
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:0", "address to listen on; port 0 means any free port")
	accessToken := flag.Duration("access-token-lifetime", time.Hour, "lifetime of an access token")
	refreshToken := flag.Duration("refresh-token-lifetime", 30*24*time.Hour, "lifetime of a refresh token")
	user := flag.String("user", "", "the one user")
	client := flag.String("client", "", "ID of the public client")
	confidential := flag.String("confidential-client", "", "ID of the client with a secret, which may also introspect")
	flag.Parse()
	if os.Getenv("LOGIN_PASSWORD") == "" || os.Getenv("CLIENT_SECRET") == "" {
		return errors.New("set LOGIN_PASSWORD and CLIENT_SECRET")
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		return err
	}
	issuer := "http://" + listener.Addr().String()
	server, err := newServer(issuer, *user, *client, *confidential, *accessToken, *refreshToken)
	if err != nil {
		return err
	}
	fmt.Println("Authorization server on", issuer)
	return http.Serve(listener, server.handler())
}

func main() {
	if err := run(); err != nil {
		log.Fatal("authorization-server: ", err)
	}
}
