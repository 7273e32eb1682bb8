// The grammar of the stories. You can change a word, add a row or add a plot: every grammar that compiles has
// an exact theoretical minimum.
//
// A story introduces a hero, then something happens, and then the story ends. The words in braces are the
// first rows of the lists. So the rules read like one story: Tom, the brave boy; his friend Pip the owl; a
// red kite; the garden with its bush; and so on.
//
// Three rules keep the grammar unambiguous: alternatives start with different words (write their common
// beginning before the choice); an optional phrase does not start with the word that comes after the phrase;
// a story does not end with an optional phrase.
#include "apps/text/stories_grammar.h"

namespace inkling {

const std::string_view kStoryGrammar = R"(
# ---- what stories are about ----

list hero
  Tom    boy   He   he   him  His  his
  Ben    boy   He   he   him  His  his
  Max    boy   He   he   him  His  his
  Leo    boy   He   he   him  His  his
  Sam    boy   He   he   him  His  his
  Jack   boy   He   he   him  His  his
  Finn   boy   He   he   him  His  his
  Oscar  boy   He   he   him  His  his
  Theo   boy   He   he   him  His  his
  Noah   boy   He   he   him  His  his
  Hugo   boy   He   he   him  His  his
  Eli    boy   He   he   him  His  his
  Lily   girl  She  she  her  Her  her
  Mia    girl  She  she  her  Her  her
  Anna   girl  She  she  her  Her  her
  Emma   girl  She  she  her  Her  her
  Zoe    girl  She  she  her  Her  her
  Ella   girl  She  she  her  Her  her
  Lucy   girl  She  she  her  Her  her
  Rosa   girl  She  she  her  Her  her
  Nora   girl  She  she  her  Her  her
  Ruby   girl  She  she  her  Her  her
  Ivy    girl  She  she  her  Her  her
  Clara  girl  She  she  her  Her  her

list character
  brave / kind / clever / shy / gentle / curious / funny / polite / cheerful / lively / dreamy / friendly
  patient / playful / quiet / merry

list animal
  an  owl       Hoot    flew
  a   duck      Quack   waddled
  a   frog      Ribbit  hopped
  a   puppy     Woof    ran
  a   kitten    Meow    crept
  a   hen       Cluck   hurried
  a   pony      Neigh   trotted
  a   pig       Oink    trotted
  a   mouse     Squeak  hurried
  a   crow      Caw     flew
  a   goose     Honk    waddled
  a   bear      Growl   ran

list size
  little / tiny / small / young / old / big

list friend_name
  Pip / Dot / Coco / Pepper / Button / Bramble / Waffle / Clover / Momo / Pickle / Biscuit / Bubbles
  Nutmeg / Ginger

list thing
  kite / ball / drum / boat / bell / scarf / book / ring / lantern / doll / wagon / shell

list colour
  a   red
  a   blue
  a   green
  a   yellow
  a   purple
  a   white
  a   black
  a   silver
  a   golden
  an  orange

list place
  in  garden   bush
  in  forest   tree
  in  park     bench
  in  meadow   log
  in  village  well
  in  barn     barrel
  in  field    haystack
  at  beach    rock
  at  farm     fence
  at  market   stall
  at  castle   gate
  at  fair     tent
  on  hill     boulder
  by  lake     canoe

list weather
  sunny / warm / windy / cloudy / rainy / foggy / snowy / chilly / bright / misty

list time
  morning / afternoon / day / evening

list sorrow
  sad / upset / worried / unhappy / gloomy / nervous / glum

list joy
  happy / proud / glad / thankful / joyful / pleased / cosy / calm

list family
  mother / father / grandma / grandpa / sister / brother

list elder
  farmer / sailor / baker / painter

list food
  cake / bread / soup / jam / pie / pudding / porridge / pancakes / cookies / muffins / cheese / honey

list skill
  swim / sing / dance / skate / dive / juggle / climb / draw / knit / row

list other_colour
  green / red / blue / yellow / purple / white / black / silver / golden / orange

list third_colour
  yellow / red / blue / green / purple / white / black / silver / golden / orange

list dream_colour
  blue / red / green / yellow / purple / white / black / silver / golden / orange

list dream
  stars / clouds / dragons / castles / ships / horses / birds / flowers

# ---- how a story goes ----

story =
  <opening> One {sunny} {morning}, {Tom} (4 and (3 {Pip} the {little} {owl} <with_friend> | {his} {mother} <with_family>) | <alone>)

opening =
    3 Once (2 upon a time, |) there was <somebody>
  | 2 There (was | lived | once was) <somebody>
  | Long ago, there (was | lived) <somebody>
  | In a (small | quiet) (town | village) lived <somebody>

somebody =
  a {brave} {boy} (2 named | called) {Tom}.

said =
  2 said | cried | called | whispered

asked =
  2 asked | cried | called | whispered

felt =
  (2 felt | was) <very> {sad}

very =
  2 | so | very

happy =
  (felt | were) <very> {happy}

some =
  some (2 | sweet | warm | fresh) {cake}

behind =
  2 behind | beside | near

soon =
  Soon | Suddenly | At last

together =
  Together | Side by side

# ---- with a friend ----

with_friend =
    6 were {in} the {garden}. <in_the_garden>
  | made <some>. <share>
  | had a race {in} the {garden}. <race>

in_the_garden =
    4 {Tom} (2 lost <lost> | saw <stuck> | found <found> | wanted to <skill>)
  | They played hide and seek. <hide>
  | Then (rain fell | snow fell | it grew dark), and <storm>

lost =
  {his} {red} {kite} and <felt>. "(I will help you | We will find it | Do not cry)," <said> {Pip}. <soon>, the {owl} (saw |
  found) something {red} <behind> a {bush}. It was the {red} {kite}! <relief>

stuck =
  {a} {red} {kite} (high in a tree | on a wall). {He} could not reach it and <felt>. "(I (have an idea | can help) | Let me
  think)," <said> {Pip}. <together>, they (shook | pushed | pulled), and down came the {red} {kite}! <relief>

found =
  {a} {red} {kite} <behind> a {bush}. {He} wanted to keep it, but {Pip} (looked | was) {sad}.
  "(Whose | Who lost this) {kite}?" asked the {owl}. <soon>, they (met | found) an old {farmer}.
  "My {red} {kite}!" <said> the {farmer}, and gave them <some>. (2 "You are an honest {boy}," <said> {Pip}. <night> | <end_honest>)

skill =
  {swim}. {He} tried (once | again and again | all {morning}), but it was (too | so | very) hard, and {he} <felt>. "(Try
  again | Do not give up | You can do it)," <said> {Pip}. <soon>, {Tom} could {swim}! {Pip} gave {him} {a} {red} {kite} (and
  <some> |) as a prize. <end_trying>

hide =
  {Tom} counted to (three | ten) and looked (everywhere | high and low | all around), but there was no {owl}. {He} <felt>.
  "{Hoot}!" <said> a (small | funny | sleepy | soft) voice <behind> a {bush}. There was {Pip}, with {a} {red} {kite}!
  <relief>

storm =
  {Pip} was (cold | wet | scared) and {sad}. {Tom} put {his} (coat | cape | blanket) on the {owl}.
  "(Do not cry | I am with you | It will pass)," {he} <said>. They (told a story | sang a song) about {a} {red} {kite}
  <behind> a {bush} until the sun came out. <end_with_friend>

share =
  An old {farmer} (came by | saw them) and looked <very> {sad}. "I am (so | very) (hungry | tired | cold)," <said> the
  {farmer}. {Tom} gave {Pip} and the {farmer} (half | some | most) of the {cake}. "(Thank you | How kind)!" <said> the
  {farmer}, and gave {him} {a} {red} {kite}. <end_sharing>

race =
  "One, two, three, go!" {Pip} was (first | fast | far ahead), but then the {owl} fell over {a} {red} {kite} and <felt>.
  {Tom} could win now, but {he} (stopped | turned back) and helped {Pip} up. <together>, they ran to a {bush}.
  <end_with_friend>

# ---- with the family ----

with_family =
    2 were {in} the {garden}. {Tom} (broke <broken> | got lost <astray>)
  | found a wishing stone {in} the {garden}. <wish>

broken =
  {a} {red} {kite} that {his} {mother} loved. {He} <felt> and hid it <behind> a {bush}. "Where is my {kite}?" {his} {mother} <asked>.
  Then {Tom} told the truth. {His} {mother} (hugged | smiled at) {him}. <together>, they mended the {kite} with {green}
  (string | paint | glue). (2 "You are an honest {boy}," <said> {his} {mother}. <night> | <end_honest>)

astray =
  and <felt>. <soon>, {an} {owl} came out from behind a {bush}. "{Hoot}! (Follow me | I know the way | Come with me)," it
  <said>. The {owl} {flew} (ahead | away) with {a} {red} {kite}, {he} ran after it, and there was {his} {mother}!
  <end_family>

wish =
  "I wish for {a} {red} {kite}," <said> {Tom}, but there was no {kite} the next day, and {he} <felt>. "(Let us | We can) make one,"
  <said> {his} {mother}. They took some {green} (paper | wood | wool) and {yellow} (string | paint | glue).
  (Soon | At last), {Tom} had {a} {red} {kite}. <end_family>

# ---- alone, but not for long ----

alone =
    heard a (strange | funny | loud) (noise | sound) {in} the {garden}. <noise>
  | met {an} {owl} {in} the {garden}. <met>
  | found an old map under {a} {red} {kite}. <map>
  | wanted to give {his} {mother} <gift>

noise =
  {He} <felt>, but {he} looked <behind> a {bush}. It was only {an} {owl}! "{Hoot}! I am {Pip}, and I am (lost | all alone |
  far from home)," it <said>. "(Stay with me | Come home with me | Do not cry)," <said> {Tom}, and gave {Pip} {a} {red}
  {kite}. <end_new_friend>

met =
  It sat <behind> a {bush} and looked <very> {sad}. "(What is wrong | Why are you {sad})?" {he} <asked>.
  "I (lost my {red} {kite}," <said> the {owl}. {Tom} looked (everywhere | high and low | all around) and found it.
    | am (so | very) hungry," <said> the {owl}. {Tom} ran home and (came back with | brought) <some> and {a} {red} {kite}.)
  "{Hoot}! (Thank you | How kind)! My name is {Pip}," it <said>. <end_new_friend>

map =
  It led to a {bush} {in} the {garden}. {He} dug (and dug | a deep hole | all {morning}), but found only a letter and
  <felt>. "(Turn around | Look behind you)," it <said>. There stood {an} {owl}! "{Hoot}! I am {Pip}, and I (wanted | was
  looking for) a friend," it <said>. <end_new_friend>

gift =
  {a} {red} {kite}, but {he} had no money and <felt>. So {he} took some {green} (paper | wood | wool) and {yellow} (string |
  paint | glue) and worked all {morning}. {His} {mother} (smiled | laughed | hugged {him}). It was the best {kite} {in} the
  {garden}. <end_family>

# ---- endings ----

relief =
    {Tom} was not {sad} anymore. <night>
  | 5 <end_with_friend>

end_with_friend =
    2 "You are a {brave} {boy}," <said> {Pip}. <night>
  | A good friend is (better than | worth more than) gold. <night>
  | {Pip} and {Tom} (were best friends | went home {happy}). <night>
  | 2 <night>

end_new_friend =
    2 "You are a {brave} {boy}," <said> {Pip}. <night>
  | From that {morning} on, {Tom} and {Pip} were (best friends | always together).
  | 2 Now {Tom} had a friend. <night>

end_family =
    {Tom} was not {sad} anymore. <night>
  | 2 "You are a {brave} {boy}," <said> {his} {mother}. <night>
  | 3 <night>

end_honest =
  It is (good | right) to (tell the truth | be honest). <night>

end_trying =
  Never give up! <night>

end_sharing =
  Sharing makes (everything | good things) better. <night>

night =
    6 They (3 (ate | shared | made) <some> and <happy> | 2 played with the {red} {kite} | (went home | fell asleep) {happy}
      | lived happily ever after).
  | It was the best {morning} ever.
  | 6 That night, {Tom} dreamed of (the {red} {kite} | {blue} {stars}).
)";

}  // namespace inkling
